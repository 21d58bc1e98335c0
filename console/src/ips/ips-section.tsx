import { Section } from "../parts/section";
import { text } from "../text";

export function IpsSection({ hostname }: { hostname: string }) {
  return <Section title={text.ips.title}>{hostname}</Section>;
}
