import { Input } from "../parts/field";
import { text } from "../text";

/** As long as the API waits when nothing else is said. */
export const DEFAULT_WAIT = "300";

const SHORTEST = 10;
const LONGEST = 3600;

interface Props {
  seconds: string;
  onSeconds: (seconds: string) => void;
}

/** A field for how long an operating system is waited for that was asked to shut down. */
export function WaitField({ seconds, onSeconds }: Props) {
  return (
    <Input
      label={text.servers.waitSeconds}
      hint={text.servers.waitSecondsHint(SHORTEST, LONGEST)}
      error={isWait(seconds) ? "" : text.servers.waitSecondsHint(SHORTEST, LONGEST)}
      value={seconds}
      onValue={onSeconds}
      input={{ inputMode: "numeric", autocomplete: "off" }}
    />
  );
}

/** Whether the API waits that long. */
export function isWait(seconds: string): boolean {
  return /^\d+$/.test(seconds) && Number(seconds) >= SHORTEST && Number(seconds) <= LONGEST;
}
