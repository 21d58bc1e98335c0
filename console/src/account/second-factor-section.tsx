import { useState } from "preact/hooks";
import { Badge } from "../parts/badge";
import { Button } from "../parts/button";
import { Section } from "../parts/section";
import { useSession } from "../session/session";
import { text } from "../text";
import { RemoveSecondFactor } from "./remove-second-factor";
import { SetUpSecondFactor } from "./set-up-second-factor";

/** Whether signing in takes a code as well, and how to change that. */
export function SecondFactorSection() {
  const on = useSession().data?.user?.second_factor ?? false;
  const [changing, setChanging] = useState<"on" | "off" | null>(null);
  const done = () => setChanging(null);
  return (
    <Section
      title={text.account.secondFactor}
      actions={
        <Badge tone={on ? "good" : "warning"}>{on ? text.account.on : text.account.off}</Badge>
      }
    >
      <p>{on ? text.account.secondFactorOn : text.account.secondFactorOff}</p>
      {on ? (
        <Button onClick={() => setChanging("off")}>{text.account.remove}</Button>
      ) : (
        <Button onClick={() => setChanging("on")}>{text.account.setUp}</Button>
      )}
      {changing === "on" && <SetUpSecondFactor onDone={done} />}
      {changing === "off" && <RemoveSecondFactor onDone={done} />}
    </Section>
  );
}
