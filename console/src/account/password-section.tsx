import { useState } from "preact/hooks";
import { fieldErrors } from "../api/field-errors";
import { Button } from "../parts/button";
import { Notice } from "../parts/notice";
import { Password } from "../parts/password";
import { Refusal } from "../parts/refusal";
import { Section } from "../parts/section";
import { useSession } from "../session/session";
import { text } from "../text";
import { isNotProven } from "./proof";
import { useChangePassword } from "./queries";

const SHORTEST = 12;

/** Changes the own password. */
export function PasswordSection() {
  const email = useSession().data?.user?.email;
  const [password, setPassword] = useState("");
  const [fresh, setFresh] = useState("");
  const [tooShort, setTooShort] = useState(false);
  const change = useChangePassword();
  const errors = fieldErrors(change.error, ["new_password"]);
  const notProven = isNotProven(change.error);

  function submit(event: Event): void {
    event.preventDefault();
    // Characters as the API counts them, not UTF-16 units.
    const short = [...fresh].length < SHORTEST;
    setTooShort(short);
    if (short) return;
    change.mutate(
      { password, new_password: fresh },
      {
        onSuccess: () => {
          setPassword("");
          setFresh("");
        },
      },
    );
  }

  return (
    <Section title={text.account.password}>
      <form class="narrow" onSubmit={submit}>
        {/* For password managers: whose password it is. */}
        <input hidden autocomplete="username" readOnly value={email} />
        <Password
          label={text.account.presentPassword}
          input={{ autocomplete: "current-password" }}
          error={notProven ? text.account.passwordWrong : ""}
          value={password}
          onValue={setPassword}
        />
        <Password
          label={text.account.newPassword}
          hint={text.account.passwordHint(SHORTEST)}
          input={{ autocomplete: "new-password" }}
          error={tooShort ? text.account.passwordShort(SHORTEST) : errors.said("new_password")}
          value={fresh}
          onValue={setFresh}
        />
        <Refusal error={notProven ? null : errors.rest} />
        {change.isSuccess && <Notice kind="good">{text.account.passwordChanged}</Notice>}
        <Button type="submit" busy={change.isPending}>
          {text.account.changePassword}
        </Button>
      </form>
    </Section>
  );
}
