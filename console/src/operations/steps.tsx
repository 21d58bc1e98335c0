import { Circle, CircleCheck, CircleX } from "lucide-preact";
import type { OperationStep } from "../api/schema";
import { text } from "../text";
import { Duration } from "./duration";

/** The steps of an operation, in order: where each stands, and how long it took. */
export function Steps({ steps }: { steps: OperationStep[] }) {
  return (
    <ol class="steps" aria-label={text.operations.steps}>
      {steps.map((step) => (
        <li key={step.name} class={`step ${step.state.toLowerCase()}`}>
          <Mark state={step.state} />
          <span class="step-name">
            {step.name}
            <span class="offscreen">, {text.operations.stepState[step.state]}</span>
          </span>
          {step.start_time && (
            <span class="small muted">
              <Duration from={step.start_time} to={step.end_time} />
            </span>
          )}
        </li>
      ))}
    </ol>
  );
}

function Mark({ state }: { state: OperationStep["state"] }) {
  switch (state) {
    case "DOING":
      return <span class="spinner" aria-hidden="true" />;
    case "DONE":
      return <CircleCheck aria-hidden="true" />;
    case "ERROR":
      return <CircleX aria-hidden="true" />;
    default:
      return <Circle aria-hidden="true" />;
  }
}
