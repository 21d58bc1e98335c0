import type { BlockedAddress, BlockedAddressState } from "../api/schema";
import { Badge, type Tone } from "../parts/badge";
import { Button } from "../parts/button";
import { Time } from "../parts/time";
import { useMayChange } from "../session/session";
import { text } from "../text";

const TONES: Record<BlockedAddressState, Tone> = {
  STATE_UNSPECIFIED: "neutral",
  BLOCKED: "bad",
  UNBLOCKING: "busy",
  UNBLOCKED: "good",
};

interface Props {
  addresses: BlockedAddress[];
  onUnban: (address: BlockedAddress) => void;
}

/** Addresses that are kept away from a server. */
export function Blocked({ addresses, onUnban }: Props) {
  const mayChange = useMayChange();
  return (
    <ul class="rows" aria-label={text.antihack.blocked}>
      {addresses.map((address) => {
        const { ip, jail, gateway, state } = address;
        const network = ip.includes("/");
        return (
          <li key={`${ip} ${jail} ${gateway}`}>
            <div class="row-text">
              <span class="mono">{ip}</span>{" "}
              <Badge tone={TONES[state]}>{text.antihack.states[state]}</Badge>
              <div class="small muted">
                {text.antihack.jail(jail, gateway)} · {text.antihack.keptFrom(address.protected_ip)}
              </div>
              <div class="small muted">
                <Span address={address} />
              </div>
              {network && <div class="small muted">{text.antihack.network}</div>}
            </div>
            {mayChange && !network && state !== "UNBLOCKED" && (
              <Button
                aria-label={text.antihack.unbanLabel(ip, jail)}
                onClick={() => onUnban(address)}
              >
                {text.antihack.unban}
              </Button>
            )}
          </li>
        );
      })}
    </ul>
  );
}

function Span({ address }: { address: BlockedAddress }) {
  return (
    <>
      {address.blocked_since && (
        <>
          {text.antihack.began} <Time at={address.blocked_since} /> ·{" "}
        </>
      )}
      {address.expires ? (
        <>
          {text.antihack.until} <Time at={address.expires} />
        </>
      ) : (
        text.antihack.forGood
      )}
      {address.times_before > 0 && ` · ${text.antihack.before(address.times_before)}`}
    </>
  );
}
