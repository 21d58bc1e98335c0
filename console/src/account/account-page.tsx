import { Page } from "../shell/page";
import { text } from "../text";
import { Colours } from "./colours";
import { PasswordSection } from "./password-section";
import { SecondFactorSection } from "./second-factor-section";
import { SessionSection } from "./session-section";

/** What a person sees and does about the own user. */
export function AccountPage() {
  return (
    <Page title={text.account.title}>
      <div class="sections account">
        <SessionSection />
        <PasswordSection />
        <SecondFactorSection />
        <Colours />
      </div>
    </Page>
  );
}
