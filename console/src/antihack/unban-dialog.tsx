import { useState } from "preact/hooks";
import type { BlockedAddress, UnbanAddressResponse, UnbanResultOutcome } from "../api/schema";
import { Badge, type Tone } from "../parts/badge";
import { Button } from "../parts/button";
import { Confirm } from "../parts/confirm";
import { Dialog } from "../parts/dialog";
import { Notice } from "../parts/notice";
import { text } from "../text";
import { useUnban } from "./queries";

const TONES: Record<UnbanResultOutcome, Tone> = {
  OUTCOME_UNSPECIFIED: "neutral",
  UNBANNED: "good",
  NOT_BANNED: "neutral",
  FAILED: "bad",
};

interface Props {
  hostname: string;
  blocked: BlockedAddress;
  /** Called when it was tried, however it ended. */
  onTried: () => Promise<void>;
  onClose: () => void;
}

/** Asks whether an address is to be unbanned, does it, and tells what fail2ban said. */
export function UnbanDialog({ hostname, blocked, onTried, onClose }: Props) {
  const { ip } = blocked;
  const [jail, setJail] = useState("");
  const unban = useUnban(hostname, onTried);
  const send = () => unban.mutate({ ip, jail });
  if (unban.data) {
    return (
      <Dialog
        title={text.antihack.results}
        onClose={onClose}
        footer={
          <>
            {unban.data.state !== "UNBLOCKED" && (
              <Button busy={unban.isPending} onClick={send}>
                {text.tryAgain}
              </Button>
            )}
            <Button look="primary" onClick={onClose}>
              {text.close}
            </Button>
          </>
        }
      >
        <Results ip={ip} told={unban.data} />
      </Dialog>
    );
  }
  return (
    <Confirm
      title={text.antihack.unbanTitle(ip)}
      action={text.antihack.unban}
      busy={unban.isPending}
      error={unban.error}
      onConfirm={send}
      onClose={onClose}
    >
      <p>{text.antihack.unbanExplained(ip, hostname)}</p>
      <fieldset class="choices">
        <legend>{text.antihack.where}</legend>
        <Where label={text.antihack.everyJail} chosen={!jail} onChoose={() => setJail("")} />
        <Where
          label={text.antihack.thisJail(blocked.jail)}
          chosen={Boolean(jail)}
          onChoose={() => setJail(blocked.jail)}
        />
      </fieldset>
    </Confirm>
  );
}

interface WhereProps {
  label: string;
  chosen: boolean;
  onChoose: () => void;
}

function Where({ label, chosen, onChoose }: WhereProps) {
  return (
    <label class="tick">
      <input type="radio" name="where" checked={chosen} onChange={onChoose} />
      <span>{label}</span>
    </label>
  );
}

function Results({ ip, told }: { ip: string; told: UnbanAddressResponse }) {
  return (
    <>
      {told.state === "UNBLOCKED" ? (
        <Notice kind="good">{text.antihack.lifted(ip, told.jails)}</Notice>
      ) : (
        <Notice kind="warning">{text.antihack.unconfirmed(ip)}</Notice>
      )}
      <ul class="rows">
        {told.results.map((result) => (
          <li key={result.gateway}>
            <div class="row-text">
              {result.gateway}
              <div class="small muted">{result.trouble || result.jails.join(", ")}</div>
            </div>
            <Badge tone={TONES[result.outcome]}>{text.antihack.outcomes[result.outcome]}</Badge>
          </li>
        ))}
      </ul>
    </>
  );
}
