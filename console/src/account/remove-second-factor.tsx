import { useId, useState } from "preact/hooks";
import { Button } from "../parts/button";
import { Dialog } from "../parts/dialog";
import { Notice } from "../parts/notice";
import { Password } from "../parts/password";
import { Refusal } from "../parts/refusal";
import { CodeField } from "../session/code-field";
import { text } from "../text";
import { isNotProven } from "./proof";
import { useRemoveSecondFactor } from "./queries";

/** Takes the second factor off, for who has both factors. */
export function RemoveSecondFactor({ onDone }: { onDone: () => void }) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const remove = useRemoveSecondFactor();
  const form = useId();

  function submit(event: Event): void {
    event.preventDefault();
    remove.mutate({ password, code }, { onSuccess: onDone });
  }

  return (
    <Dialog
      title={text.account.removeTitle}
      onClose={onDone}
      footer={
        <>
          <Button onClick={onDone}>{text.cancel}</Button>
          <Button type="submit" form={form} look="danger" busy={remove.isPending}>
            {text.account.remove}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit}>
        <p>{text.account.removeHint}</p>
        <Password
          label={text.account.yourPassword}
          input={{ autocomplete: "current-password", autoFocus: true }}
          value={password}
          onValue={setPassword}
        />
        <CodeField value={code} onValue={setCode} />
        {isNotProven(remove.error) ? (
          <Notice kind="bad">{text.account.notProven}</Notice>
        ) : (
          <Refusal error={remove.error} />
        )}
      </form>
    </Dialog>
  );
}
