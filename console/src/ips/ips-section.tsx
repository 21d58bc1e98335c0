import { useState } from "preact/hooks";
import type { Ip } from "../api/schema";
import { OperationProgress } from "../operations/operation-progress";
import { Answered } from "../parts/answered";
import { Badge } from "../parts/badge";
import { Button } from "../parts/button";
import { Notice } from "../parts/notice";
import { Refresh } from "../parts/refresh";
import { Section } from "../parts/section";
import { useMayChange } from "../session/session";
import { text } from "../text";
import { MoveDialog } from "./move-dialog";
import { PtrDialog } from "./ptr-dialog";
import { useForgetIps, useIps } from "./queries";

type Asked = { about: "ptr" | "move"; ip: Ip } | null;

/** A server's addresses, the names that they have, and failover addresses, which move. */
export function IpsSection({ hostname }: { hostname: string }) {
  const ips = useIps(hostname);
  const forget = useForgetIps();
  const [asked, setAsked] = useState<Asked>(null);
  const [done, setDone] = useState("");
  // A move that was asked for here is shown to its end, when the address is elsewhere already.
  const [moves, setMoves] = useState<ReadonlyMap<string, string>>(new Map());
  const close = () => setAsked(null);
  return (
    <Section
      title={text.ips.title}
      actions={
        <Refresh what={text.ips.title} busy={ips.isFetching} onRefresh={() => void ips.refetch()} />
      }
    >
      {done && <Notice kind="good">{done}</Notice>}
      <Answered query={ips}>
        {(all) => (
          <>
            <ul class="rows">
              {all.map((ip) => (
                <li key={ip.ip}>
                  <Address ip={ip} onAsk={(about) => setAsked({ about, ip })} />
                </li>
              ))}
            </ul>
            {all.length === 0 && <p class="muted">{text.ips.none}</p>}
            {all
              .filter(({ moving }) => moving && !moves.has(moving))
              .map(({ ip, moving }) => (
                <Moving key={moving} title={text.ips.moving(ip)} name={moving} onEnd={forget} />
              ))}
          </>
        )}
      </Answered>
      {[...moves].map(([name, title]) => (
        <Moving key={name} title={title} name={name} onEnd={forget} />
      ))}
      {asked?.about === "ptr" && <PtrDialog ip={asked.ip} onDone={setDone} onClose={close} />}
      {asked?.about === "move" && (
        <MoveDialog
          ip={asked.ip.ip}
          from={hostname}
          onMoving={(operation, to) => {
            setMoves(new Map(moves).set(operation, text.ips.movingTo(asked.ip.ip, to)));
            close();
          }}
          onClose={close}
        />
      )}
    </Section>
  );
}

function Address({ ip, onAsk }: { ip: Ip; onAsk: (about: "ptr" | "move") => void }) {
  const mayChange = useMayChange();
  const facts = [
    text.ips.families[ip.family],
    ip.network && text.ips.network(ip.network),
    !ip.network && ip.prefix_length > 0 && text.ips.prefix(ip.prefix_length),
    ip.gateway && text.ips.gateway(ip.gateway),
  ].filter(Boolean);
  const change = ip.ptr_state === "PTR_SET";
  return (
    <>
      <div class="row-text">
        <span class="mono">{ip.ip}</span> <Badge tone="neutral">{text.ips.roles[ip.role]}</Badge>
        <div class="small muted">{facts.join(" · ")}</div>
        <div class="small">
          <Ptr ip={ip} />
        </div>
      </div>
      {mayChange && (
        <div class="actions">
          <Button
            aria-label={change ? text.ips.changePtr(ip.ip) : text.ips.setPtr(ip.ip)}
            onClick={() => onAsk("ptr")}
          >
            {change ? text.ips.changePtrShort : text.ips.setPtrShort}
          </Button>
          {ip.role === "FAILOVER" && (
            <Button
              aria-label={text.ips.moveLabel(ip.ip)}
              disabled={Boolean(ip.moving)}
              onClick={() => onAsk("move")}
            >
              {text.ips.move}
            </Button>
          )}
        </div>
      )}
    </>
  );
}

function Ptr({ ip }: { ip: Ip }) {
  switch (ip.ptr_state) {
    case "PTR_SET":
      return (
        <>
          {text.ips.ptr} <span class="mono">{ip.ptr}</span>
        </>
      );
    case "PTR_NONE":
      return <span class="muted">{text.ips.noPtr}</span>;
    default:
      return <span class="muted">{text.ips.ptrUnknown}</span>;
  }
}

interface MovingProps {
  title: string;
  /** Name of the operation. */
  name: string;
  onEnd: () => void;
}

function Moving({ title, name, onEnd }: MovingProps) {
  return (
    <div class="going-on">
      <p>{title}</p>
      <OperationProgress name={name} onEnd={onEnd} />
    </div>
  );
}
