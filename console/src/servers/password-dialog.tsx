import { Button } from "../parts/button";
import { Confirm } from "../parts/confirm";
import { Copy } from "../parts/copy";
import { Dialog } from "../parts/dialog";
import { Notice } from "../parts/notice";
import { text } from "../text";
import { Command } from "./command";
import { useReadRescuePassword } from "./queries";

interface Props {
  hostname: string;
  /** The command that logs in; empty: not known. */
  command: string;
  onClose: () => void;
}

/** Asks before root's password in the rescue system is read, and shows it this one time. */
export function PasswordDialog({ hostname, command, onClose }: Props) {
  const read = useReadRescuePassword(hostname);
  if (!read.data) {
    return (
      <Confirm
        title={text.servers.readPasswordQuestion(hostname)}
        action={text.servers.readPassword}
        busy={read.isPending}
        error={read.error}
        onConfirm={() => read.mutate()}
        onClose={onClose}
      >
        <p>{text.servers.readPasswordLoses}</p>
      </Confirm>
    );
  }
  return (
    // No Escape: what is closed by accident is gone.
    <Dialog
      title={text.servers.passwordOf(hostname)}
      footer={
        <Button look="primary" onClick={onClose}>
          {text.servers.kept}
        </Button>
      }
    >
      <Notice kind="warning">{text.servers.passwordOnce}</Notice>
      <div class="copied-line">
        <pre>{read.data.password}</pre>
        <Copy value={read.data.password} label={text.servers.copyPassword} />
      </div>
      {command && (
        <>
          <p>{text.servers.passwordUse}</p>
          <Command command={command} />
        </>
      )}
    </Dialog>
  );
}
