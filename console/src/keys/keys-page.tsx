import { Page } from "../shell/page";
import { text } from "../text";

export function KeysPage() {
  return <Page title={text.keys.title}>…</Page>;
}
