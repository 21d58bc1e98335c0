import { Building2 } from "lucide-preact";
import { Button } from "../parts/button";
import { Refusal } from "../parts/refusal";
import { text } from "../text";
import { useLeaveForProvider, useProviderKnown } from "./oidc";

/** Where the API knows the provider of an organisation. `leaves`: something may be lost by it. */
export function ProviderButton({ leaves }: { leaves: boolean }) {
  const known = useProviderKnown();
  const leave = useLeaveForProvider();
  if (!known) return null;
  return (
    <div class="provider">
      <p class="or">{text.signIn.or}</p>
      <Button
        icon={<Building2 aria-hidden="true" />}
        busy={leave.isPending || leave.isSuccess}
        onClick={() => leave.mutate()}
      >
        {text.signIn.withProvider}
      </Button>
      {leaves && <p class="hint">{text.signIn.providerLeaves}</p>}
      <Refusal error={leave.error} />
    </div>
  );
}
