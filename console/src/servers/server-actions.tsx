import { HardDriveDownload, LifeBuoy, Power, RotateCw } from "lucide-preact";
import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { useIpmi } from "../ipmi/queries";
import { Button } from "../parts/button";
import { text } from "../text";
import type { ActionProps } from "./action-dialog";
import { InstallDialog } from "./install-dialog";
import { PowerDialog } from "./power-dialog";
import { useRescue } from "./queries";
import { RebootDialog } from "./reboot-dialog";
import { EnterRescueDialog, ExitRescueDialog } from "./rescue-dialogs";

interface Props {
  hostname: string;
  /** Whether an operation holds it, so that none can be begun. */
  held: boolean;
  onOperation: (name: string) => void;
}

type Dialog = (action: ActionProps) => JSX.Element;

/** Rescue states in which a server can leave it. */
const IN_RESCUE = new Set(["ACTIVE", "ENTER_FAILED", "EXIT_FAILED"]);

/** Rescue states in which a server can enter it. */
const ENTERABLE = new Set(["INACTIVE", "ENTER_FAILED", "EXIT_FAILED"]);

/** What can be done with a server; each asks before it does anything. */
export function ServerActions({ hostname, held, onOperation }: Props) {
  const reason = useId();
  const [dialog, setDialog] = useState<{ Shown: Dialog } | null>(null);
  const power = useIpmi(hostname).query.data?.power?.state;
  const rescue = useRescue(hostname).data?.state ?? "INACTIVE";
  const open = (Shown: Dialog) => () => setDialog({ Shown });
  const Shown = dialog?.Shown;
  const off = held ? reason : undefined;
  return (
    <>
      <Button
        off={off}
        icon={<RotateCw aria-hidden="true" />}
        onClick={open((action) => <RebootDialog {...action} power={power} />)}
      >
        {text.servers.reboot}
      </Button>
      <Button off={off} icon={<Power aria-hidden="true" />} onClick={open(PowerDialog)}>
        {text.servers.changePower}
      </Button>
      {ENTERABLE.has(rescue) && (
        <Button off={off} icon={<LifeBuoy aria-hidden="true" />} onClick={open(EnterRescueDialog)}>
          {text.servers.enterRescue}
        </Button>
      )}
      {IN_RESCUE.has(rescue) && (
        <Button off={off} icon={<LifeBuoy aria-hidden="true" />} onClick={open(ExitRescueDialog)}>
          {text.servers.exitRescue}
        </Button>
      )}
      <Button
        off={off}
        icon={<HardDriveDownload aria-hidden="true" />}
        onClick={open(InstallDialog)}
      >
        {text.servers.install}
      </Button>
      {held && (
        <p id={reason} class="small muted held">
          {text.servers.held}
        </p>
      )}
      {Shown && (
        <Shown hostname={hostname} onOperation={onOperation} onClose={() => setDialog(null)} />
      )}
    </>
  );
}
