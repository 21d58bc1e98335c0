import { Section } from "../parts/section";
import { text } from "../text";

export function IpmiSection({ hostname }: { hostname: string }) {
  return <Section title={text.ipmi.title}>{hostname}</Section>;
}
