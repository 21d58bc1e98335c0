import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { Answered } from "../parts/answered";
import { Button } from "../parts/button";
import { Notice } from "../parts/notice";
import { Page } from "../shell/page";
import { text } from "../text";
import { KeyCard } from "./key-card";
import { type Lost, useCapabilityLabels, useKey } from "./queries";
import { RevokeKey } from "./revoke-key";
import { RotateKey } from "./rotate-key";
import type { Made } from "./secret-page";

interface Props {
  id: string;
  onMade: (made: Made | Lost) => void;
}

/** That a key was made that nobody has the secret of, and what can be done about it. */
export function SecretLostPage({ id, onMade }: Props) {
  const key = useKey(id);
  const labels = useCapabilityLabels();
  const [asked, setAsked] = useState<"rotate" | "revoke" | null>(null);
  const close = () => setAsked(null);
  return (
    <Page title={text.keys.lostTitle}>
      <div class="sections">
        <Notice kind="warning">{text.keys.lostWhat}</Notice>
        <Answered query={key}>
          {(found) => (
            <>
              <ul class="cards">
                <KeyCard apiKey={found} labels={labels} />
              </ul>
              {found.state === "ACTIVE" && (
                <div class="actions">
                  <Button onClick={() => setAsked("revoke")}>{text.keys.revokeAction}</Button>
                  <Button look="primary" onClick={() => setAsked("rotate")}>
                    {text.keys.lostRotate}
                  </Button>
                </div>
              )}
              {asked === "rotate" && (
                <RotateKey apiKey={found} overlap="NOW" onClose={close} onMade={onMade} />
              )}
              {asked === "revoke" && <RevokeKey apiKey={found} onClose={close} />}
            </>
          )}
        </Answered>
      </div>
      <p>
        <Link href="/keys" class="button">
          {text.keys.done}
        </Link>
      </p>
    </Page>
  );
}
