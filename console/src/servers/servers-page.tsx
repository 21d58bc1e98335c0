import { Link } from "wouter-preact";
import { Answered } from "../parts/answered";
import { Page } from "../shell/page";
import { text } from "../text";
import { useServers } from "./queries";

export function ServersPage() {
  const servers = useServers();
  return (
    <Page title={text.servers.title}>
      <Answered query={servers}>
        {(all) => (
          <ul class="cards">
            {all.map((server) => (
              <li key={server.hostname} class="card">
                <Link href={`/servers/${server.hostname}`}>{server.hostname}</Link>
                <p class="small muted">
                  {server.ips[0]} · {server.datacenter}
                </p>
              </li>
            ))}
          </ul>
        )}
      </Answered>
    </Page>
  );
}
