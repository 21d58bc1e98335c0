import { useState } from "preact/hooks";
import type { AntihackStatus, BlockedAddress } from "../api/schema";
import { Answered } from "../parts/answered";
import { Pager } from "../parts/pager";
import { Refresh } from "../parts/refresh";
import { Section } from "../parts/section";
import { text } from "../text";
import { Blocked } from "./blocked";
import { PAGE, useAntihack } from "./queries";
import { Search } from "./search";
import { Sources } from "./sources";
import { UnbanDialog } from "./unban-dialog";

/** What fail2ban on the gateways blocks for a server, and whether it runs there at all. */
export function AntihackSection({ hostname }: { hostname: string }) {
  const [ip, setIp] = useState("");
  // Of the pages up to the one that is shown.
  const [tokens, setTokens] = useState([""]);
  const [asked, setAsked] = useState<BlockedAddress | null>(null);
  const { query, refresh } = useAntihack(hostname, { ip, token: tokens.at(-1) ?? "" });
  const find = (sought: string) => {
    setIp(sought);
    setTokens([""]);
  };
  return (
    <Section
      title={text.antihack.title}
      actions={
        <Refresh
          what={text.antihack.title}
          busy={query.isFetching}
          onRefresh={() => void refresh()}
        />
      }
    >
      <p class="small muted">{text.antihack.explained}</p>
      <Answered query={query}>{(status) => <Sources sources={status.sources} />}</Answered>
      {query.data?.sources.length !== 0 && (
        <>
          <h3>{text.antihack.blocked}</h3>
          <Search sought={ip} error={query.error} onSearch={find} />
        </>
      )}
      {query.isPlaceholderData && (
        <p class="waiting" role="status">
          <span class="spinner" aria-hidden="true" /> {text.loading}
        </p>
      )}
      {query.data && !query.isPlaceholderData && query.data.sources.length > 0 && (
        <>
          <None status={query.data} sought={ip} />
          <Blocked addresses={query.data.blocked} onUnban={setAsked} />
          <Pager
            label={text.antihack.pages}
            before={(tokens.length - 1) * PAGE}
            here={query.data.blocked.length}
            total={query.data.total_blocked}
            onPrevious={() => setTokens(tokens.slice(0, -1))}
            onNext={
              query.data.next_page_token
                ? () => setTokens([...tokens, query.data.next_page_token])
                : null
            }
          />
        </>
      )}
      {asked && (
        <UnbanDialog
          hostname={hostname}
          blocked={asked}
          onTried={refresh}
          onClose={() => setAsked(null)}
        />
      )}
    </Section>
  );
}

/** That nothing is blocked, where that is known; that it is not, where it is not. */
function None({ status, sought }: { status: AntihackStatus; sought: string }) {
  // A gateway without a jail blocks nothing, and says so.
  const known = status.sources.every(({ health }) => health === "OK" || health === "NO_JAILS");
  if (status.total_blocked > 0) {
    return known ? null : <p class="small muted">{text.antihack.incomplete}</p>;
  }
  if (!known) return <p>{text.antihack.noneKnown}</p>;
  return (
    <p class="muted">{sought ? text.antihack.noneFound(sought) : text.antihack.noneBlocked}</p>
  );
}
