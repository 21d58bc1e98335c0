import { RefreshCw } from "lucide-preact";
import { text } from "../text";
import { Button } from "./button";

interface Props {
  /** What is asked for again. */
  what: string;
  busy: boolean;
  onRefresh: () => void;
}

/** Asks again for what a section shows. */
export function Refresh({ what, busy, onRefresh }: Props) {
  return (
    <Button
      look="quiet"
      busy={busy}
      icon={<RefreshCw aria-hidden="true" />}
      aria-label={text.refresh(what)}
      onClick={onRefresh}
    />
  );
}
