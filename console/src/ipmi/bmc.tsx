import type { Ipmi } from "../api/schema";
import { Badge, type Tone } from "../parts/badge";
import { Notice } from "../parts/notice";
import { Time } from "../parts/time";
import { text } from "../text";

interface Said {
  tone: Tone;
  words: string;
  hint: string;
}

/** Whether a BMC can be reached, and what was seen of it, never older than it says. */
export function Bmc({ bmc }: { bmc: Ipmi }) {
  const { tone, words, hint } = reachability(bmc);
  const past = bmc.reachability !== "CONTACTABLE";
  const what = [bmc.manufacturer, bmc.product].filter((each) => each && each !== "0").join(" · ");
  const version = bmc.version && text.ipmi.ipmiVersion(bmc.version);
  const can = bmc.features.map((each) => text.ipmi.featureNames[each]).filter(Boolean);
  return (
    <>
      <p>
        <Badge tone={tone}>{words}</Badge>
      </p>
      <p class="small muted">
        {hint} {bmc.failures > 0 && text.ipmi.failures(bmc.failures)}
      </p>
      {bmc.failing && <Notice kind="warning">{text.ipmi.failing}</Notice>}
      {bmc.drift && (
        <Notice kind="warning">
          <p>{text.ipmi.drift(text.ipmi.powers[bmc.drift.expected?.state ?? "UNKNOWN"])}</p>
          {bmc.drift.since && (
            <p class="small">
              {text.ipmi.driftSince} <Time at={bmc.drift.since} />.
            </p>
          )}
        </Notice>
      )}
      {past && bmc.contact_time && <p>{text.ipmi.lastSeen}</p>}
      <dl class={past ? "facts past" : "facts"}>
        <dt>{past ? text.ipmi.powerLastSeen : text.ipmi.power}</dt>
        <dd>
          {text.ipmi.powers[bmc.power?.state ?? "STATE_UNSPECIFIED"]}
          {bmc.power?.observe_time && (
            <span class="small muted">
              {" · "}
              <Time at={bmc.power.observe_time} />
            </span>
          )}
        </dd>
        <dt>{text.ipmi.asked}</dt>
        <dd>{bmc.check_time ? <Time at={bmc.check_time} /> : text.ipmi.never}</dd>
        {past && (
          <>
            <dt>{text.ipmi.answered}</dt>
            <dd>{bmc.contact_time ? <Time at={bmc.contact_time} /> : text.ipmi.never}</dd>
          </>
        )}
        <Fact name={text.ipmi.product} value={what} />
        <Fact name={text.ipmi.firmware} value={bmc.firmware} />
        <Fact name={text.ipmi.protocol} value={version} />
        <Fact name={text.ipmi.features} value={can.join(", ")} />
      </dl>
    </>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  if (!value) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  );
}

function reachability(bmc: Ipmi): Said {
  switch (bmc.reachability) {
    case "CONTACTABLE":
      return { tone: "good", words: text.ipmi.answers, hint: text.ipmi.answersHint };
    case "AUTH_FAILED":
      return { tone: "bad", words: text.ipmi.loginRefused, hint: text.ipmi.loginRefusedHint };
    case "UNREACHABLE":
      return bmc.trouble === "NO_FREE_SESSION"
        ? { tone: "warning", words: text.ipmi.sessionsTaken, hint: text.ipmi.sessionsTakenHint }
        : { tone: "bad", words: text.ipmi.silent, hint: text.ipmi.silentHint };
    default:
      return { tone: "neutral", words: text.ipmi.untried, hint: text.ipmi.answersHint };
  }
}
