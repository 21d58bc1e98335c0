import { useState } from "preact/hooks";
import { OperationProgress } from "../operations/operation-progress";
import { Answered } from "../parts/answered";
import { Refresh } from "../parts/refresh";
import { Section } from "../parts/section";
import { text } from "../text";
import { Address } from "./address";
import { useAntispam } from "./queries";
import { UnblockDialog } from "./unblock-dialog";

/** Whether we block port 25 of a server's addresses, and whether Spamhaus lists them. */
export function AntispamSection({ hostname }: { hostname: string }) {
  const antispam = useAntispam(hostname);
  const [asked, setAsked] = useState("");
  // What was asked for here is shown to its end, and how it ended after it.
  const [started, setStarted] = useState<ReadonlyMap<string, string>>(new Map());
  const again = () => void antispam.refetch();
  return (
    <Section
      title={text.antispam.title}
      actions={<Refresh what={text.antispam.title} busy={antispam.isFetching} onRefresh={again} />}
    >
      <p class="small muted">{text.antispam.explained}</p>
      <Answered query={antispam}>
        {(addresses) => (
          <>
            {addresses.length === 0 && <p class="muted">{text.antispam.none}</p>}
            <ul class="cards mail-addresses">
              {addresses.map((address) => {
                const operation = started.get(address.ip) ?? address.operation;
                return (
                  <li key={address.ip}>
                    <Address
                      address={address}
                      seenAt={antispam.dataUpdatedAt}
                      onUnblock={() => setAsked(address.ip)}
                    />
                    {operation && (
                      <OperationProgress key={operation} name={operation} onEnd={again} />
                    )}
                  </li>
                );
              })}
            </ul>
          </>
        )}
      </Answered>
      {asked && (
        <UnblockDialog
          hostname={hostname}
          ip={asked}
          onStarted={(operation) => {
            setStarted(new Map(started).set(asked, operation));
            setAsked("");
            again();
          }}
          onClose={() => setAsked("")}
        />
      )}
    </Section>
  );
}
