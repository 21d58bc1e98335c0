import { useQueryClient } from "@tanstack/preact-query";
import { ChevronLeft } from "lucide-preact";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Link, useSearchParams } from "wouter-preact";
import { AntihackSection } from "../antihack/antihack-section";
import { AntispamSection } from "../antispam/antispam-section";
import type { Server } from "../api/schema";
import { IpmiSection } from "../ipmi/ipmi-section";
import { IpsSection } from "../ips/ips-section";
import { MonitoringSection } from "../monitoring/monitoring-section";
import { isOperationName } from "../operations/name";
import { OperationProgress } from "../operations/operation-progress";
import { OperationsSection } from "../operations/operations-section";
import { Answered } from "../parts/answered";
import { Button } from "../parts/button";
import { useMayChange } from "../session/session";
import { Page } from "../shell/page";
import { text } from "../text";
import { InstallSection } from "./install-section";
import { refreshServer, useServer } from "./queries";
import { RescueSection } from "./rescue-section";
import { ServerActions } from "./server-actions";
import { StateSection } from "./state-section";

/** One server: how it is, what is going on, and what can be done with it. */
export function ServerPage({ hostname }: { hostname: string }) {
  const server = useServer(hostname);
  const [followed, setFollowed] = useState("");
  const [linked, setLinked] = useLinked();
  const mayChange = useMayChange();

  // Whoever asked for it: what holds the server is shown, and its end stays until it is put away.
  const current = server.data?.current_operation;
  useEffect(() => {
    if (current) setFollowed(current);
  }, [current]);

  return (
    <Page
      title={hostname}
      actions={
        server.data &&
        mayChange && (
          <ServerActions
            hostname={hostname}
            held={Boolean(server.data.current_operation)}
            onOperation={setFollowed}
          />
        )
      }
    >
      <p class="back">
        <Link href="/servers">
          <ChevronLeft aria-hidden="true" /> {text.servers.allServers}
        </Link>
      </p>
      <Answered query={server}>
        {(known) => (
          <div class="sections">
            {linked && linked !== followed && (
              <Followed
                key={linked}
                title={text.operations.linked}
                name={linked}
                hostname={hostname}
                linked
                onHide={() => setLinked("")}
              />
            )}
            {followed && (
              <Followed
                key={followed}
                title={text.operations.now}
                name={followed}
                hostname={hostname}
                onHide={() => setFollowed("")}
              />
            )}
            <Sections server={known} />
          </div>
        )}
      </Answered>
    </Page>
  );
}

/** The operation that a link leads to stands in the address; empty: none does. */
function useLinked(): [string, (name: string) => void] {
  const [params, setParams] = useSearchParams();
  const name = params.get("operation") ?? "";
  return [
    isOperationName(name) ? name : "",
    (operation) => setParams(operation ? { operation } : {}, { replace: true }),
  ];
}

interface FollowedProps {
  title: string;
  name: string;
  hostname: string;
  /** Whether a link led to it: it may be gone, or another server's, and can be put away at once. */
  linked?: boolean;
  onHide: () => void;
}

function Followed({ title, name, hostname, linked = false, onHide }: FollowedProps) {
  const client = useQueryClient();
  const [ended, setEnded] = useState(false);
  return (
    <section class="card followed" aria-label={title}>
      <OperationProgress
        name={name}
        // An address that moves is followed on the pages of both its servers.
        {...(linked && { hostname })}
        onEnd={() => {
          setEnded(true);
          void refreshServer(client, hostname);
        }}
      />
      {(linked || ended) && (
        <Button look="quiet" onClick={onHide}>
          {text.operations.dismiss}
        </Button>
      )}
    </section>
  );
}

interface Part {
  title: string;
  content: ComponentChildren;
}

/** What one comes for stands before what one looks at. */
function Sections({ server }: { server: Server }) {
  const { hostname } = server;
  return (
    <>
      <div class="overview">
        <StateSection server={server} />
        <RescueSection hostname={hostname} address={server.ips[0] ?? ""} />
      </div>
      <Parts
        hostname={hostname}
        parts={[
          {
            title: text.operations.title,
            content: <OperationsSection hostname={hostname} />,
          },
          { title: text.ips.title, content: <IpsSection hostname={hostname} /> },
          { title: text.antihack.title, content: <AntihackSection hostname={hostname} /> },
          { title: text.antispam.title, content: <AntispamSection hostname={hostname} /> },
          { title: text.ipmi.title, content: <IpmiSection hostname={hostname} /> },
          { title: text.monitoring.title, content: <MonitoringSection hostname={hostname} /> },
          { title: text.servers.installTitle, content: <InstallSection hostname={hostname} /> },
        ]}
      />
    </>
  );
}

/** Parts of a long page, and the way to each. */
function Parts({ hostname, parts }: { hostname: string; parts: Part[] }) {
  const places = useRef<(HTMLElement | null)[]>([]);

  /** The fragment of the address says on which page one is: it cannot name a part of it as well. */
  function jump(event: Event, index: number): void {
    event.preventDefault();
    places.current[index]?.scrollIntoView();
    places.current[index]?.focus({ preventScroll: true });
  }

  return (
    <>
      <nav class="jump" aria-label={text.servers.onThisPage}>
        {parts.map(({ title }, index) => (
          <a key={title} href={`#/servers/${hostname}`} onClick={(event) => jump(event, index)}>
            {title}
          </a>
        ))}
      </nav>
      {parts.map(({ title, content }, index) => (
        <div
          key={title}
          class="place"
          tabIndex={-1}
          ref={(place) => {
            places.current[index] = place;
          }}
        >
          {content}
        </div>
      ))}
    </>
  );
}
