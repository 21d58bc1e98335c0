import { Button } from "../parts/button";
import { Dialog } from "../parts/dialog";
import { Refusal } from "../parts/refusal";
import { text } from "../text";
import { useCancelOperation } from "./queries";

interface Props {
  name: string;
  /** What it does, in words. */
  kind: string;
  server: string;
  onClose: () => void;
}

/** Asks before an operation is cancelled. */
export function CancelDialog({ name, kind, server, onClose }: Props) {
  const cancel = useCancelOperation(onClose);
  return (
    <Dialog
      title={text.operations.cancelQuestion(kind, server)}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>{text.operations.keep}</Button>
          <Button look="danger" busy={cancel.isPending} onClick={() => cancel.mutate(name)}>
            {text.operations.cancelAction}
          </Button>
        </>
      }
    >
      <p>{text.operations.cancelLoses}</p>
      <Refusal error={cancel.error} />
    </Dialog>
  );
}
