import { PlugZap } from "lucide-preact";
import type { TestIpmiResponseStageResult } from "../api/schema";
import { Badge, type Tone } from "../parts/badge";
import { Button } from "../parts/button";
import { number } from "../parts/number";
import { Refusal } from "../parts/refusal";
import { useMayChange } from "../session/session";
import { text } from "../text";
import { useTestIpmi } from "./queries";

const TONES: Record<TestIpmiResponseStageResult, Tone> = {
  RESULT_UNSPECIFIED: "neutral",
  PASSED: "good",
  FAILED: "bad",
  SKIPPED: "neutral",
};

/** Reaches the BMC when asked to, and shows how far it came and how long each stage took. */
export function ConnectionTest({ hostname }: { hostname: string }) {
  const test = useTestIpmi(hostname);
  if (!useMayChange()) return null;
  return (
    <div class="connection-test">
      <Button
        busy={test.isPending}
        icon={<PlugZap aria-hidden="true" />}
        onClick={() => test.mutate()}
      >
        {text.ipmi.test}
      </Button>
      <Refusal error={test.error} />
      <div role="status">
        {test.data && (
          <ol class="rows" aria-label={text.ipmi.tested}>
            {test.data.stages.map((stage) => (
              <li key={stage.name}>
                <span class="row-text">
                  {text.ipmi.stages[stage.name]}
                  {stage.detail && <span class="small muted">: {stage.detail}</span>}
                </span>
                <span>
                  {stage.result !== "SKIPPED" && (
                    <span class="small muted">
                      {text.ipmi.milliseconds(number(stage.milliseconds))}{" "}
                    </span>
                  )}
                  <Badge tone={TONES[stage.result]}>{text.ipmi.results[stage.result]}</Badge>
                </span>
              </li>
            ))}
          </ol>
        )}
      </div>
    </div>
  );
}
