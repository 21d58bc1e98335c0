import { useMutation, useQuery, useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { answer, api } from "../api/client";
import { Failure } from "../api/failure";
import { useFreshQuery } from "../api/fresh";
import { allPages } from "../api/pages";
import type { IpmiEvent, ListIpmiSensorsResponse } from "../api/schema";

const INTERVAL_MS = 60_000;
/** The oldest that the API gives. */
const OLDEST_SECONDS = 3600;
/** Of the event log at once: a BMC takes its time for each. */
const EVENTS_PAGE = 100;

/** What a server's BMC is, and whether it can be reached. */
export function useIpmi(hostname: string) {
  return useFreshQuery({
    queryKey: ["ipmi", hostname],
    refetchInterval: INTERVAL_MS,
    queryFn: (query, signal) =>
      answer(
        api.GET("/servers/{hostname}/ipmi", { params: { path: { hostname }, query }, signal }),
      ),
  });
}

export interface Readings extends ListIpmiSensorsResponse {
  /** The BMC is silent: this is what it said before. */
  past: boolean;
}

/** The readings of a server's sensors; of a silent BMC the last ones, if the API still has them. */
export function useSensors(hostname: string) {
  const ask = (query: { max_age_seconds?: number }, signal: AbortSignal) =>
    answer(
      api.GET("/servers/{hostname}/ipmi/sensors", {
        params: { path: { hostname }, query },
        signal,
      }),
    );
  return useFreshQuery({
    queryKey: ["sensors", hostname],
    refetchInterval: INTERVAL_MS,
    queryFn: async (age, signal): Promise<Readings> => {
      try {
        return { ...(await ask(age, signal)), past: false };
      } catch (error) {
        if (!(error instanceof Failure) || error.reason !== "BMC_UNREACHABLE") throw error;
        const kept = await ask({ max_age_seconds: OLDEST_SECONDS }, signal).catch(() => null);
        if (!kept) throw error;
        return { ...kept, past: true };
      }
    },
  });
}

export interface EventLog {
  /** The newest first. */
  events: IpmiEvent[];
  /** By how much the BMC's clock is ahead, in seconds; null: it is not set. */
  clockOffset: number | null;
}

/** The whole event log, read when `wanted`; `progress` tells how much of it was. */
export function useEvents(hostname: string, wanted: boolean) {
  const [progress, setProgress] = useState({ done: 0, total: 0 });
  const query = useQuery({
    queryKey: ["events", hostname],
    enabled: wanted,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
    queryFn: async ({ signal }): Promise<EventLog> => {
      let clockOffset: number | null = null;
      let done = 0;
      setProgress({ done, total: 0 });
      // The API gives the oldest first, and no other way.
      const events = await allPages(async (page_token) => {
        const query = { page_size: EVENTS_PAGE, page_token };
        const path = "/servers/{hostname}/ipmi/events";
        const page = await answer(api.GET(path, { params: { path: { hostname }, query }, signal }));
        clockOffset = page.clock_offset_seconds ?? null;
        done += page.events.length;
        setProgress({ done, total: page.total_size });
        return { items: page.events, next: page.next_page_token };
      });
      return { events: events.reverse(), clockOffset };
    },
  });
  return { query, progress };
}

/** Reaches the BMC anew, stage by stage. */
export function useTestIpmi(hostname: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () =>
      answer(
        api.POST("/servers/{hostname}/ipmi/test", {
          params: { path: { hostname } },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: ["ipmi", hostname] }),
  });
}
