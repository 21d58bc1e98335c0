"""f2h.server_ops.v1.NetbootService."""

from typing import Any

from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import netboot_pb2, netboot_pb2_grpc
from google.api import httpbody_pb2
from google.protobuf import empty_pb2

from services.runtime.errors import ApiError
from services.server_ops.netboot.answer import AnswerMachines
from services.server_ops.netboot.boot import Event, Report, TokenInvalid, TokenUsed


class NetbootServicer(netboot_pb2_grpc.NetbootServiceServicer):
    """Answers machines that boot."""

    def __init__(self, answer: AnswerMachines, heartbeat_seconds: float) -> None:
        self._answer = answer
        self._heartbeat_seconds = heartbeat_seconds

    async def GetBootScript(
        self, request: netboot_pb2.GetBootScriptRequest, _context: Any
    ) -> httpbody_pb2.HttpBody:
        """The script, as iPXE reads it."""
        mac = request.mac.lower().replace("-", ":")
        script = await self._answer.script(mac, request.uuid.lower())
        if script is None:
            text = "No server, or more than one, is registered with this MAC address or UUID."
            raise ApiError(Reason.NOT_FOUND, text)
        return httpbody_pb2.HttpBody(content_type="text/plain", data=script.encode())

    async def BeginBoot(
        self, request: netboot_pb2.BeginBootRequest, _context: Any
    ) -> netboot_pb2.BeginBootResponse:
        """What the booted system is to do."""
        try:
            hostname, access = await self._answer.begin(request.token, request.report_token)
        except TokenUsed:
            text = "The token was used by another system: it is good for one boot."
            raise ApiError(Reason.BOOT_TOKEN_USED, text) from None
        except TokenInvalid:
            raise _token_invalid() from None
        return netboot_pb2.BeginBootResponse(
            hostname=hostname,
            ssh_keys=access.ssh_keys,
            password_hash=access.password_hash,
            heartbeat_seconds=self._heartbeat_seconds,
        )

    async def ReportBoot(
        self, request: netboot_pb2.ReportBootRequest, _context: Any
    ) -> empty_pb2.Empty:
        """Keeps what the booted system says."""
        report = Report(
            event=Event(netboot_pb2.ReportBootRequest.Event.Name(request.event)),
            ssh_host_keys=tuple(request.ssh_host_keys),
            percent=request.percent,
            message=request.message,
            log=tuple(request.log),
        )
        try:
            await self._answer.report(request.report_token, report)
        except TokenInvalid:
            raise _token_invalid() from None
        return empty_pb2.Empty()


def _token_invalid() -> ApiError:
    text = "The token is not valid: nobody's, or of a boot that is over."
    return ApiError(Reason.CREDENTIAL_INVALID, text)
