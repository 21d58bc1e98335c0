import { Section } from "../parts/section";
import { text } from "../text";

export function AntihackSection({ hostname }: { hostname: string }) {
  return <Section title={text.antihack.title}>{hostname}</Section>;
}
