import { KeyRound, Plus } from "lucide-preact";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { Answered } from "../parts/answered";
import { Notice } from "../parts/notice";
import { useMayChange } from "../session/session";
import { Page } from "../shell/page";
import { text } from "../text";
import { EditKey } from "./edit-key";
import type { Asked } from "./key-card";
import { KeyList } from "./key-list";
import { type Lost, useKeys } from "./queries";
import { RevokeKey } from "./revoke-key";
import { RotateKey } from "./rotate-key";
import type { Made } from "./secret-page";

/** The keys of the account. */
export function KeysPage({ onMade }: { onMade: (made: Made | Lost) => void }) {
  const keys = useKeys();
  const mayChange = useMayChange();
  const [asked, setAsked] = useState<Asked | null>(null);
  const [done, setDone] = useState("");
  const close = (said = "") => {
    setAsked(null);
    setDone(said);
  };
  return (
    <Page title={text.keys.title} actions={mayChange && <Generate />}>
      {done && <Notice kind="good">{done}</Notice>}
      <Answered query={keys}>
        {(all) =>
          all.length > 0 ? (
            <KeyList keys={all} {...(mayChange && { onAsk: setAsked })} />
          ) : (
            <NoKeys mayChange={mayChange} />
          )
        }
      </Answered>
      {asked?.deed === "revoke" && <RevokeKey apiKey={asked.key} onClose={close} />}
      {asked?.deed === "rotate" && <RotateKey apiKey={asked.key} onClose={close} onMade={onMade} />}
      {asked?.deed === "edit" && <EditKey apiKey={asked.key} onClose={close} />}
    </Page>
  );
}

function Generate() {
  return (
    <Link href="/keys/new" class="button primary">
      <Plus aria-hidden="true" />
      {text.keys.generate}
    </Link>
  );
}

function NoKeys({ mayChange }: { mayChange: boolean }) {
  return (
    <section class="card no-keys">
      <KeyRound aria-hidden="true" />
      <h2>{text.keys.none}</h2>
      <p>{text.keys.intro}</p>
      <p class="muted">{mayChange ? text.keys.noneHint : text.keys.noneReadOnly}</p>
      {mayChange && <Generate />}
    </section>
  );
}
