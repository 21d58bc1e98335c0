import { Page } from "../shell/page";
import { text } from "../text";

export function AuditPage() {
  return <Page title={text.audit.title}>…</Page>;
}
