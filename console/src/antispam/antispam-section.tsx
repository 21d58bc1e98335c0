import { Section } from "../parts/section";
import { text } from "../text";

export function AntispamSection({ hostname }: { hostname: string }) {
  return <Section title={text.antispam.title}>{hostname}</Section>;
}
