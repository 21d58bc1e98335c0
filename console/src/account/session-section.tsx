import { LogOut } from "lucide-preact";
import { Button } from "../parts/button";
import { Refusal } from "../parts/refusal";
import { Section } from "../parts/section";
import { exactTime, Time } from "../parts/time";
import { useSession, useSignOut } from "../session/session";
import { text } from "../text";

/** Who is signed in, since when and until when, and signing out. */
export function SessionSection() {
  const session = useSession().data;
  const signOut = useSignOut();
  const everywhere = useSignOut();
  if (!session?.user) return null;
  const { user, create_time: begun, expire_time: ends } = session;
  return (
    <Section title={text.account.you}>
      <dl class="facts">
        <dt>{text.account.email}</dt>
        <dd>{user.email}</dd>
        <dt>{text.account.account}</dt>
        <dd>{user.account}</dd>
        <dt>{text.account.role}</dt>
        <dd>{text.account.roles[user.role]}</dd>
        <dt>{text.account.address}</dt>
        <dd>{session.address}</dd>
        {begun && (
          <>
            <dt>{text.account.begun}</dt>
            <dd>
              {exactTime(begun)}{" "}
              <span class="muted">
                (<Time at={begun} />)
              </span>
            </dd>
          </>
        )}
        {ends && (
          <>
            <dt>{text.account.ends}</dt>
            <dd>
              {exactTime(ends)} <span class="muted">{text.account.idle(session.idle_seconds)}</span>
            </dd>
          </>
        )}
      </dl>
      <div class="actions">
        <Button
          icon={<LogOut aria-hidden="true" />}
          busy={signOut.isPending}
          onClick={() => signOut.mutate(false)}
        >
          {text.shell.signOut}
        </Button>
        <Button busy={everywhere.isPending} onClick={() => everywhere.mutate(true)}>
          {text.account.everywhere}
        </Button>
      </div>
      <p class="hint">{text.account.everywhereHint}</p>
      <Refusal error={signOut.error ?? everywhere.error} />
    </Section>
  );
}
