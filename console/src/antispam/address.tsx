import { ExternalLink } from "lucide-preact";
import type {
  AntispamAddress,
  AntispamAddressListed,
  AntispamAddressListing,
  AntispamAddressState,
} from "../api/schema";
import { Badge, type Tone } from "../parts/badge";
import { Button } from "../parts/button";
import { Time } from "../parts/time";
import { useMayChange } from "../session/session";
import { text } from "../text";
import { span, useSecondsUntil } from "./countdown";

const STATE_TONES: Record<AntispamAddressState, Tone> = {
  STATE_UNSPECIFIED: "neutral",
  BLOCKED_FOR_SPAM: "bad",
  UNBLOCKING: "busy",
  UNBLOCKED: "good",
};

const LISTED_TONES: Record<AntispamAddressListed, Tone> = {
  LISTED_UNSPECIFIED: "neutral",
  LISTED: "bad",
  CLEAN: "good",
  UNKNOWN: "warning",
};

interface Props {
  address: AntispamAddress;
  /** When the API said it, in milliseconds since 1970. */
  seenAt: number;
  onUnblock: () => void;
}

/** Both facts about one address, apart from each other. */
export function Address({ address, seenAt, onUnblock }: Props) {
  return (
    <>
      <h3 class="mono">{address.ip}</h3>
      <dl class="facts">
        <dt>{text.antispam.port25}</dt>
        <dd>
          <Block address={address} seenAt={seenAt} onUnblock={onUnblock} />
        </dd>
        <dt>{text.antispam.spamhaus}</dt>
        <dd>
          <Badge tone={LISTED_TONES[address.listed]}>{text.antispam.listed[address.listed]}</Badge>
          {address.listed !== "UNKNOWN" && address.look_up_time && (
            <span class="small muted">
              {" "}
              {text.antispam.lookedUp} <Time at={address.look_up_time} />
            </span>
          )}
          {address.unknown_reason && <p class="small muted">{address.unknown_reason}</p>}
          {address.listings.length > 0 && (
            <ul>
              {address.listings.map((listing) => (
                <li key={listing.list}>
                  <Listing listing={listing} />
                </li>
              ))}
            </ul>
          )}
        </dd>
      </dl>
    </>
  );
}

function Block({ address, seenAt, onUnblock }: Props) {
  const mayChange = useMayChange();
  const left = useSecondsUntil(seenAt + Number.parseFloat(address.unblock_after ?? "0") * 1000);
  const blocked = address.state === "BLOCKED_FOR_SPAM";
  return (
    <>
      <Badge tone={STATE_TONES[address.state]}>{text.antispam.states[address.state]}</Badge>
      {address.blocked_since && (
        <span class="small muted">
          {" "}
          <Time at={address.blocked_since} />
        </span>
      )}
      {address.reason && <p>{address.reason}</p>}
      {blocked && address.times_before > 0 && (
        <p class="small muted">{text.antispam.before(address.times_before)}</p>
      )}
      {blocked && left > 0 && <p role="timer">{text.antispam.waits(span(left))}</p>}
      {blocked && mayChange && (
        <p>
          <Button
            aria-label={text.antispam.unblockLabel(address.ip)}
            disabled={left > 0}
            onClick={onUnblock}
          >
            {text.antispam.unblock}
          </Button>
        </p>
      )}
    </>
  );
}

function Listing({ listing }: { listing: AntispamAddressListing }) {
  return (
    <>
      <b>{text.antispam.lists[listing.list]}</b>{" "}
      <span class="small muted">{text.antispam.codes(listing.return_codes.join(", "))}</span>
      <p>
        {text.antispam.delistings[listing.delisting]}{" "}
        {listing.link.startsWith("https://") && (
          <a href={listing.link} target="_blank" rel="noopener noreferrer">
            {listing.link} <ExternalLink aria-hidden="true" />
          </a>
        )}
      </p>
    </>
  );
}
