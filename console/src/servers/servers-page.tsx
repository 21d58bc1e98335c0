import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import type { Server } from "../api/schema";
import { useOperationKind } from "../operations/queries";
import { Answered } from "../parts/answered";
import { Badge } from "../parts/badge";
import { Button } from "../parts/button";
import { Page } from "../shell/page";
import { text } from "../text";
import { PowerBadge } from "./power-badge";
import { useServers } from "./queries";

/** How many are shown at once, and more on each demand: a fleet may have a thousand. */
const STEP = 100;

/** Power is seen about once a minute: what is older than this may no longer be so. */
const FRESH_SECONDS = 180;

/** The account's servers, found by a part of what is known of them. */
export function ServersPage() {
  const servers = useServers();
  return (
    <Page title={text.servers.title}>
      <Answered query={servers}>
        {(all) => (all.length === 0 ? <None /> : <Found servers={all} />)}
      </Answered>
    </Page>
  );
}

function None() {
  return (
    <div class="card">
      <p>{text.servers.none}</p>
      <p class="muted">{text.servers.noneHint}</p>
    </div>
  );
}

function Found({ servers }: { servers: Server[] }) {
  const [sought, setSought] = useState("");
  const [limit, setLimit] = useState(STEP);
  const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
  const found = servers.filter(({ hostname, ips, datacenter }) => {
    const whole = [hostname, ...ips, datacenter].join(" ").toLowerCase();
    return words.every((word) => whole.includes(word));
  });
  const hidden = found.length - limit;
  return (
    <>
      <div class="search">
        <input
          type="search"
          aria-label={text.servers.search}
          placeholder={text.servers.search}
          value={sought}
          onInput={(event) => {
            setSought(event.currentTarget.value);
            setLimit(STEP);
          }}
        />
        <span class="small muted" role="status">
          {text.servers.count(found.length, servers.length)}
        </span>
      </div>
      {found.length === 0 && <p class="muted">{text.nothingFound}</p>}
      <ul class="server-list">
        {found.slice(0, limit).map((server) => (
          <Row key={server.hostname} server={server} />
        ))}
      </ul>
      {hidden > 0 && (
        <Button onClick={() => setLimit(limit + STEP)}>
          {text.servers.showMore(Math.min(hidden, STEP))}
        </Button>
      )}
    </>
  );
}

function Row({ server }: { server: Server }) {
  const boots = server.netboot?.boot_type ?? "BOOT_TYPE_UNSPECIFIED";
  return (
    <li class="card">
      <Link href={`/servers/${server.hostname}`}>{server.hostname}</Link>
      <span>{server.ips[0]}</span>
      <span class="server-state">
        <PowerBadge power={server.power} freshSeconds={FRESH_SECONDS} />
      </span>
      <span class="muted">{server.datacenter}</span>
      <span class="server-state">
        {server.current_operation && <Held by={server.current_operation} />}
      </span>
      <span class="server-boot small muted">
        {text.servers.nextBoot}: {text.servers.boot[boots]}
      </span>
    </li>
  );
}

function Held({ by }: { by: string }) {
  const kind = useOperationKind(by).data ?? "KIND_UNSPECIFIED";
  return (
    <Badge tone="busy">
      <span class="spinner" aria-hidden="true" /> {text.operations.happening[kind]}
    </Badge>
  );
}
