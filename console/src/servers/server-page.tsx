import { AntihackSection } from "../antihack/antihack-section";
import { AntispamSection } from "../antispam/antispam-section";
import { IpmiSection } from "../ipmi/ipmi-section";
import { IpsSection } from "../ips/ips-section";
import { MonitoringSection } from "../monitoring/monitoring-section";
import { Page } from "../shell/page";

export function ServerPage({ hostname }: { hostname: string }) {
  return (
    <Page title={hostname}>
      <div class="sections">
        <IpsSection hostname={hostname} />
        <IpmiSection hostname={hostname} />
        <MonitoringSection hostname={hostname} />
        <AntihackSection hostname={hostname} />
        <AntispamSection hostname={hostname} />
      </div>
    </Page>
  );
}
