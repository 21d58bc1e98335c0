import { Copy } from "../parts/copy";
import { text } from "../text";

/** A command to run in a terminal of one's own. */
export function Command({ command }: { command: string }) {
  return (
    <div class="copied-line">
      <code>{command}</code>
      <Copy value={command} label={text.servers.copyCommand} />
    </div>
  );
}
