import { Link } from "wouter-preact";
import type { ApiKey } from "../api/schema";
import { Copy } from "../parts/copy";
import { Notice } from "../parts/notice";
import { Section } from "../parts/section";
import { exactTime } from "../parts/time";
import { useServers } from "../servers/queries";
import { useSession } from "../session/session";
import { Page } from "../shell/page";
import { text } from "../text";
import { curlLine } from "./curl-line";
import { isWithin } from "./networks";
import { useCapabilities } from "./queries";

/** A key that was just made. Its secret is in memory alone, for as long as this page is shown. */
export interface Made {
  key: ApiKey;
  secret: string;
  /** The key whose place it takes, as it was, and until when that one works; null: not any more. */
  old?: { id: string; until: string | null };
}

export function SecretPage({ made: { key, secret, old } }: { made: Made }) {
  const servers = useServers().data;
  const catalogue = useCapabilities().data ?? [];
  const address = useSession().data?.address;
  const curl = servers && curlLine(key, secret, servers, location.origin);
  const label =
    catalogue.find(({ id }) => id === curl?.capability)?.label ?? curl?.capability ?? "";
  return (
    <Page title={text.keys.madeTitle}>
      <div class="sections secret-page">
        <Section
          title={text.keys.secret}
          actions={<Copy value={secret} label={text.keys.copySecret} />}
        >
          <pre class="secret" translate={false}>
            {secret}
          </pre>
          <Notice kind="warning">
            <p>
              <b>{text.keys.madeOnce}</b>
            </p>
            <p>{text.keys.madeKeep}</p>
          </Notice>
          {old && (
            <p>
              {old.until
                ? text.keys.oldWorksUntil(old.id, exactTime(old.until))
                : text.keys.oldRevoked(old.id)}
            </p>
          )}
        </Section>
        {curl && (
          <Section
            title={text.keys.tryIt}
            actions={<Copy value={curl.line} label={text.keys.copyCurl} />}
          >
            <pre class="curl" translate={false}>
              {curl.line}
            </pre>
            <p class="small muted">
              {curl.reads ? text.keys.curlReads(label) : text.keys.curlActs(label)}{" "}
              {curl.placeholder && text.keys.curlPlaceholder(curl.placeholder)}
            </p>
            {address && key.cidrs.length > 0 && !isWithin(address, key.cidrs) && (
              <Notice kind="info">{text.keys.notFromHere(address)}</Notice>
            )}
          </Section>
        )}
      </div>
      <p>
        <Link href="/keys" class="button">
          {text.keys.done}
        </Link>
      </p>
    </Page>
  );
}
