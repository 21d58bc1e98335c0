import { useState } from "preact/hooks";
import { fieldErrors } from "../api/field-errors";
import type { BeginSecondFactorResponse } from "../api/schema";
import { Button } from "../parts/button";
import { Copy } from "../parts/copy";
import { Dialog } from "../parts/dialog";
import { Input } from "../parts/field";
import { Notice } from "../parts/notice";
import { Password } from "../parts/password";
import { Refusal } from "../parts/refusal";
import { text } from "../text";
import { isNotProven } from "./proof";
import { QrCode } from "./qr-code";
import { useBeginSecondFactor, useConfirmSecondFactor } from "./queries";

interface Props {
  onDone: () => void;
}

/** In three steps: the password again, the secret and a code of it, the recovery codes. */
export function SetUpSecondFactor({ onDone }: Props) {
  const [begun, setBegun] = useState<BeginSecondFactorResponse | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  if (codes) return <RecoveryCodes codes={codes} onDone={onDone} />;
  return (
    <Dialog title={text.account.setUp} onClose={onDone}>
      {begun ? <Confirm begun={begun} onConfirmed={setCodes} /> : <Begin onBegun={setBegun} />}
    </Dialog>
  );
}

function Begin({ onBegun }: { onBegun: (begun: BeginSecondFactorResponse) => void }) {
  const [password, setPassword] = useState("");
  const begin = useBeginSecondFactor();
  const notProven = isNotProven(begin.error);

  function submit(event: Event): void {
    event.preventDefault();
    begin.mutate(password, { onSuccess: onBegun });
  }

  return (
    <form onSubmit={submit}>
      <p>{text.account.setUpHint}</p>
      <Password
        label={text.account.yourPassword}
        input={{ autocomplete: "current-password", autoFocus: true }}
        error={notProven ? text.account.passwordWrong : ""}
        value={password}
        onValue={setPassword}
      />
      <Refusal error={notProven ? null : begin.error} />
      <Button type="submit" look="primary" busy={begin.isPending}>
        {text.account.goOn}
      </Button>
    </form>
  );
}

interface ConfirmProps {
  begun: BeginSecondFactorResponse;
  onConfirmed: (recoveryCodes: string[]) => void;
}

function Confirm({ begun: { secret, uri }, onConfirmed }: ConfirmProps) {
  const [code, setCode] = useState("");
  const confirm = useConfirmSecondFactor();
  const errors = fieldErrors(confirm.error, ["code"]);

  function submit(event: Event): void {
    event.preventDefault();
    const digits = code.replace(/\s/g, "");
    confirm.mutate(
      { code: digits },
      { onSuccess: ({ recovery_codes }) => onConfirmed(recovery_codes) },
    );
  }

  return (
    <form onSubmit={submit}>
      <p>{text.account.scan}</p>
      <QrCode value={uri} label={text.account.qrCode} />
      <p class="small">
        <a href={uri}>{text.account.openHere}</a>
      </p>
      <p class="small">{text.account.typeInstead}</p>
      <p class="secret">
        {/* In groups, which authenticators take as well. */}
        <code>{secret.replace(/.{4}(?=.)/g, "$& ")}</code>
        <Copy value={secret} label={text.copy} />
      </p>
      <Input
        label={text.account.code}
        hint={text.account.codeHint}
        error={errors.said("code") && text.account.codeWrong}
        value={code}
        onValue={setCode}
        input={{
          autocomplete: "one-time-code",
          inputMode: "numeric",
          required: true,
          maxLength: 8,
        }}
      />
      <Refusal error={errors.rest} />
      <Button type="submit" look="primary" busy={confirm.isPending}>
        {text.account.confirm}
      </Button>
    </form>
  );
}

/** They are shown this once: Escape does not close it. */
function RecoveryCodes({ codes, onDone }: { codes: string[] } & Props) {
  return (
    <Dialog
      title={text.account.recoveryCodes}
      footer={
        <>
          <Copy value={codes.join("\n")} label={text.account.copyCodes} />
          <Button look="primary" onClick={onDone}>
            {text.account.kept}
          </Button>
        </>
      }
    >
      <Notice kind="good">{text.account.secondFactorIsOn}</Notice>
      <p>{text.account.recoveryHint}</p>
      <ul class="recovery-codes">
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
