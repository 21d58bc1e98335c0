"""f2h.security.v1.AntispamService."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from f2h.access.v1.reason_pb2 import Reason
from f2h.security.v1 import antispam_pb2, antispam_pb2_grpc
from f2h.server_ops.v1 import operation_pb2
from google.longrunning import operations_pb2

from services.runtime import timestamps
from services.runtime.access import Audience
from services.runtime.call import current_caller
from services.runtime.clock import Clock
from services.runtime.errors import ApiError
from services.runtime.request_id import request_id
from services.security.antispam.block import Blocks, Unblocking, operation_name
from services.security.antispam.listing import LookUp
from services.security.antispam.states import State
from services.security.antispam.status import AddressStatus, ReadAntispam
from services.security.antispam.unblock import RequestUnblock
from services.security.inventory.located import Inventory, canonical_ip, server_of

_Address = antispam_pb2.AntispamAddress
_Metadata = operation_pb2.OperationMetadata
_Step = operation_pb2.OperationStep

STEP = "lift the block of {ip} on the mail gates, and see it lifted"
_STEP_STATES = {
    "RUNNING": _Step.DOING,
    "SUCCEEDED": _Step.DONE,
    "FAILED": _Step.ERROR,
}


class AntispamServicer(antispam_pb2_grpc.AntispamServiceServicer):
    """Shows what stands against the mail of servers, and lifts our own part of it."""

    def __init__(
        self,
        inventory: Inventory,
        read: ReadAntispam,
        request_unblock: RequestUnblock,
        blocks: Blocks,
        clock: Clock,
    ) -> None:
        self._inventory = inventory
        self._read = read
        self._request_unblock = request_unblock
        self._blocks = blocks
        self._clock = clock

    async def GetAntispamStatus(
        self, request: antispam_pb2.GetAntispamStatusRequest, _context: Any
    ) -> antispam_pb2.AntispamStatus:
        """Both facts of each address of a server."""
        server = await server_of(self._inventory, request.hostname, current_caller())
        statuses = await self._read(server.ips)
        return antispam_pb2.AntispamStatus(addresses=map(self._pack, statuses))

    async def UnblockAntispam(
        self, request: antispam_pb2.UnblockAntispamRequest, _context: Any
    ) -> operations_pb2.Operation:
        """Accepts an unblocking."""
        caller = current_caller()
        server = await server_of(self._inventory, request.hostname, caller)
        ip = canonical_ip(request.ip)
        if ip not in server.ips:
            text = f"{server.hostname} does not have the address {ip}."
            raise ApiError(Reason.SERVER_NOT_GRANTED, text, metadata={"ip": ip})
        accepted = await self._request_unblock(
            server.hostname, caller, ip, request_id(request.request_id)
        )
        return _operation(accepted)

    async def GetAntispamOperation(
        self, request: antispam_pb2.GetAntispamOperationRequest, _context: Any
    ) -> operations_pb2.Operation:
        """An unblocking."""
        caller = current_caller()
        found = await self._blocks.find(UUID(request.id))
        if (
            found is None
            or found.account != caller.account
            or not caller.may_act_on(found.hostname)
        ):
            text = f"There is no operation antispam/operations/{request.id}."
            raise ApiError(Reason.NOT_FOUND, text)
        return _operation(found)

    def _pack(self, status: AddressStatus) -> antispam_pb2.AntispamAddress:
        message = _pack_look_up(status.look_up)
        block = status.block
        message.state = _Address.UNBLOCKED
        if block is None:
            return message
        message.state = _Address.State.Value(block.state)
        message.times_before = block.times
        if block.state is State.UNBLOCKED:
            return message
        message.times_before = block.times - 1
        message.reason = block.reason
        message.blocked_since.FromDatetime(block.block_time)
        wait = block.unblock_time - self._clock()
        if block.operation:
            message.operation = operation_name(block.operation)
        elif wait > timedelta(0):
            message.unblock_after.FromTimedelta(wait)
        return message


def _operation(unblocking: Unblocking) -> operations_pb2.Operation:
    message = operations_pb2.Operation(name=unblocking.name, done=unblocking.done)
    failure = unblocking.failure
    message.metadata.Pack(
        _Metadata(
            state=_Metadata.State.Value(unblocking.state),
            kind=_Metadata.ANTISPAM_UNBLOCK,
            server=unblocking.hostname,
            steps=[
                _Step(
                    name=STEP.format(ip=unblocking.ip),
                    state=_STEP_STATES[unblocking.state],
                    start_time=timestamps.pack(unblocking.create_time),
                    end_time=timestamps.pack(unblocking.end_time),
                )
            ],
            create_time=timestamps.pack(unblocking.create_time),
            update_time=timestamps.pack(unblocking.update_time),
            end_time=timestamps.pack(unblocking.end_time),
            fault=_Metadata.PROVIDER if failure else _Metadata.FAULT_UNSPECIFIED,
            requester=_requester(unblocking),
        )
    )
    if failure:
        error = ApiError(
            Reason.Value(failure["reason"]),
            failure["message"],
            metadata={"gateway": failure["gateway"]},
        )
        message.error.CopyFrom(error.status())
    elif unblocking.done:
        message.response.Pack(
            antispam_pb2.UnblockAntispamResponse(
                ip=unblocking.ip, unblock_time=timestamps.pack(unblocking.end_time)
            )
        )
    return message


def _requester(unblocking: Unblocking) -> operation_pb2.Requester | None:
    if not unblocking.caller:
        return None
    kind = Audience.Value(unblocking.caller_kind)
    return operation_pb2.Requester(audience=kind, subject=unblocking.caller)


def _pack_look_up(look_up: LookUp) -> antispam_pb2.AntispamAddress:
    listed = _Address.LISTED if look_up.listings else _Address.CLEAN
    return _Address(
        ip=look_up.ip,
        listed=_Address.UNKNOWN if look_up.unknown else listed,
        listings=[
            _Address.Listing(
                list=_Address.List.Value(each.list),
                return_codes=each.return_codes,
                delisting=_Address.Delisting.Value(each.delisting),
                link=each.link,
            )
            for each in look_up.listings
        ],
        unknown_reason=look_up.unknown,
        look_up_time=timestamps.pack(look_up.time),
    )
