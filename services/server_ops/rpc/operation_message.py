"""An operation as the google.longrunning.Operation that callers get."""

from collections.abc import Callable, Mapping
from datetime import datetime

from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import install_pb2, ip_pb2, operation_pb2, power_pb2, reboot_pb2, rescue_pb2
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, status_pb2

from services.runtime import timestamps
from services.runtime.access import Audience
from services.runtime.errors import ApiError
from services.server_ops.bmc.observation import PowerState
from services.server_ops.operations.operation import Kind, Operation, Step
from services.server_ops.operations.states import State
from services.server_ops.rescue.host_key import fingerprint
from services.server_ops.rpc.power_message import pack_power

Metadata = operation_pb2.OperationMetadata


def pack(operation: Operation) -> operations_pb2.Operation:
    """The message of an operation."""
    message = operations_pb2.Operation(name=operation.name, done=operation.done)
    message.metadata.Pack(
        Metadata(
            state=Metadata.State.Value(operation.state),
            kind=Metadata.Kind.Value(operation.kind),
            server=operation.server,
            steps=[pack_step(step) for step in operation.steps],
            create_time=timestamps.pack(operation.create_time),
            update_time=timestamps.pack(operation.update_time),
            end_time=timestamps.pack(operation.end_time),
            fault=Metadata.Fault.Value(operation.failure.fault)
            if operation.failure
            else Metadata.FAULT_UNSPECIFIED,
            requester=operation_pb2.Requester(
                audience=Audience.Value(operation.caller_kind), subject=operation.caller
            ),
        )
    )
    if operation.failure:
        failure = operation.failure
        error = ApiError(Reason.Value(failure.reason), failure.message, metadata=failure.metadata)
        message.error.CopyFrom(error.status())
    elif operation.state == State.SUCCEEDED:
        message.response.Pack(_RESPONSES[operation.kind](operation.result))
    elif operation.done:
        text = "It was cancelled before anything was changed."
        message.error.CopyFrom(status_pb2.Status(code=code_pb2.CANCELLED, message=text))
    return message


def _reboot(result: Mapping[str, str]) -> Message:
    return reboot_pb2.RebootServerResponse(
        proof=reboot_pb2.RebootServerResponse.Proof.Value(result["proof"]),
        restart_time=timestamps.pack(datetime.fromisoformat(result["restart_time"])),
    )


def _power(result: Mapping[str, str]) -> Message:
    return power_pb2.ChangePowerResponse(
        power=pack_power(
            PowerState(result["power"]), datetime.fromisoformat(result["observe_time"])
        ),
        changed=result["changed"] == str(True),
    )


def _enter_rescue(result: Mapping[str, str]) -> Message:
    return rescue_pb2.EnterRescueResponse(
        ssh_host_key_fingerprints=map(fingerprint, result["ssh_host_keys"].splitlines()),
        ready_time=timestamps.pack(datetime.fromisoformat(result["ready_time"])),
    )


def _exit_rescue(result: Mapping[str, str]) -> Message:
    return rescue_pb2.ExitRescueResponse(
        proof=rescue_pb2.ExitRescueResponse.Proof.Value(result["proof"]),
        exit_time=timestamps.pack(datetime.fromisoformat(result["exit_time"])),
    )


def _install(result: Mapping[str, str]) -> Message:
    return install_pb2.StartInstallResponse(
        template=result["template"],
        proof=install_pb2.StartInstallResponse.Proof.Value(result["proof"]),
        start_time=timestamps.pack(datetime.fromisoformat(result["start_time"])),
    )


def _move_ip(result: Mapping[str, str]) -> Message:
    # "from" is a word of Python's own.
    return ip_pb2.MoveIpResponse(
        ip=result["ip"],
        to=result["to"],
        next_hop=result["next_hop"],
        move_time=timestamps.pack(datetime.fromisoformat(result["move_time"])),
        **{"from": result["from"]},
    )


_RESPONSES: Mapping[Kind, Callable[[Mapping[str, str]], Message]] = {
    Kind.REBOOT: _reboot,
    Kind.POWER: _power,
    Kind.RESCUE_ENTER: _enter_rescue,
    Kind.RESCUE_EXIT: _exit_rescue,
    Kind.INSTALL: _install,
    Kind.IP_MOVE: _move_ip,
}


def pack_step(step: Step) -> operation_pb2.OperationStep:
    """The message of a step."""
    return operation_pb2.OperationStep(
        name=step.name,
        state=operation_pb2.OperationStep.State.Value(step.state),
        start_time=timestamps.pack(step.start_time),
        end_time=timestamps.pack(step.end_time),
    )
