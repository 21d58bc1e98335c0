import { Answered } from "../parts/answered";
import { Refresh } from "../parts/refresh";
import { Section } from "../parts/section";
import { text } from "../text";
import { Bmc } from "./bmc";
import { ConnectionTest } from "./connection-test";
import { Events } from "./events";
import { useIpmi, useSensors } from "./queries";
import { Sensors } from "./sensors";

/** What a server's BMC says of the machine. */
export function IpmiSection({ hostname }: { hostname: string }) {
  const ipmi = useIpmi(hostname);
  const sensors = useSensors(hostname);
  return (
    <Section
      title={text.ipmi.title}
      actions={
        <Refresh
          what={text.ipmi.title}
          busy={ipmi.query.isFetching || sensors.query.isFetching}
          onRefresh={() => void Promise.all([ipmi.refresh(), sensors.refresh()])}
        />
      }
    >
      <Answered query={ipmi.query}>{(bmc) => <Bmc bmc={bmc} />}</Answered>
      <ConnectionTest hostname={hostname} />
      <h3>{text.ipmi.sensors}</h3>
      <Answered query={sensors.query}>{(readings) => <Sensors readings={readings} />}</Answered>
      <Events hostname={hostname} />
    </Section>
  );
}
