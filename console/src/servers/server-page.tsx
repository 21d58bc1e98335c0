import { Page } from "../shell/page";

export function ServerPage({ hostname }: { hostname: string }) {
  return <Page title={hostname}>…</Page>;
}
