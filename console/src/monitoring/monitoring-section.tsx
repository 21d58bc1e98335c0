import { Section } from "../parts/section";
import { text } from "../text";

export function MonitoringSection({ hostname }: { hostname: string }) {
  return <Section title={text.monitoring.title}>{hostname}</Section>;
}
