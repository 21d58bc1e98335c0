import { Button } from "../parts/button";
import { Refusal } from "../parts/refusal";
import { useSession, useSignOut } from "../session/session";
import { Page } from "../shell/page";
import { THEMES, type Theme, useTheme } from "../shell/theme";
import { text } from "../text";

const THEME_LABELS: Record<Theme, string> = {
  system: text.shell.asSystem,
  light: text.shell.light,
  dark: text.shell.dark,
};

export function AccountPage() {
  const user = useSession().data?.user;
  const signOut = useSignOut();
  const [theme, setTheme] = useTheme();
  return (
    <Page
      title={text.account.title}
      actions={
        <Button busy={signOut.isPending} onClick={() => signOut.mutate()}>
          {text.shell.signOut}
        </Button>
      }
    >
      <Refusal error={signOut.error} />
      <p>{user?.email}</p>
      <fieldset class="choices">
        <legend>{text.shell.theme}</legend>
        {THEMES.map((each) => (
          <label key={each} class="tick">
            <input
              type="radio"
              name="theme"
              checked={theme === each}
              onChange={() => setTheme(each)}
            />
            <span>{THEME_LABELS[each]}</span>
          </label>
        ))}
      </fieldset>
    </Page>
  );
}
