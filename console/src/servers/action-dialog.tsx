import { useMutation, useQueryClient } from "@tanstack/preact-query";
import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { newRequestId } from "../api/client";
import { Failure } from "../api/failure";
import type { Operation } from "../api/schema";
import { Holder } from "../operations/holder";
import { Confirm } from "../parts/confirm";
import { text } from "../text";
import { beginOperation } from "./queries";

/** What every dialog of an action on a server is given. */
export interface ActionProps {
  hostname: string;
  /** Called with the operation that was accepted, or that is in the way. */
  onOperation: (name: string) => void;
  onClose: () => void;
}

interface Props extends ActionProps {
  /** A question that names the server. */
  title: string;
  action: string;
  /** Whether what was put in can be sent. */
  ready?: boolean;
  /** What will happen, what is lost, and what is to be said about it. */
  children: ComponentChildren;
  /** Asks for it. */
  send: (init: Asked) => Promise<Operation>;
}

/** What is the same in every call that asks for an operation on a server. */
export interface Asked {
  params: {
    path: { hostname: string };
    header: { "Idempotency-Key": string };
  };
}

/**
 * Asks before an operation is asked for.
 *
 * An answer that was lost costs nothing: whatever is sent from one opened dialog is one request to the
 * API, so that pressing the button again cannot do it twice.
 */
export function ActionDialog(props: Props) {
  const { hostname, onOperation, onClose } = props;
  const client = useQueryClient();
  const [requestId] = useState(newRequestId);
  const sent = useRef(false);
  const params = { path: { hostname }, header: { "Idempotency-Key": requestId } };
  const ask = useMutation({
    mutationFn: () => props.send({ params }),
    onSuccess: (operation) => {
      void beginOperation(client, hostname, operation);
      onOperation(operation.name);
      onClose();
    },
    onSettled: () => {
      sent.current = false;
    },
  });

  function confirm(): void {
    // The second click of a double click may come before the button is drawn as busy.
    if (sent.current) return;
    sent.current = true;
    ask.mutate();
  }

  const lost = ask.error instanceof Failure && !ask.error.refused;
  return (
    <Confirm
      title={props.title}
      action={props.action}
      busy={ask.isPending}
      disabled={props.ready === false}
      error={ask.error}
      onConfirm={confirm}
      // While it is on its way, closing would look like taking it back.
      onClose={() => {
        if (!sent.current) onClose();
      }}
    >
      {props.children}
      {ask.isPending && (
        <p class="small muted" role="status">
          {text.servers.sent}
        </p>
      )}
      {lost && <p>{text.servers.notTwice}</p>}
      <Holder
        hostname={hostname}
        error={ask.error}
        onShow={(name) => {
          onOperation(name);
          onClose();
        }}
      />
    </Confirm>
  );
}
