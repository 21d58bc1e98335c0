"""f2h.server_ops.v1.NetbootService."""

from typing import Any

from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import netboot_pb2, netboot_pb2_grpc
from google.api import httpbody_pb2
from google.protobuf import empty_pb2

from services.runtime.call import current_call
from services.runtime.errors import ApiError
from services.server_ops.netboot.answer import AnswerMachines, Begun
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
        script = await self._answer.script(mac, request.uuid.lower(), current_call().address)
        if script is None:
            text = "No server, or more than one, is registered with this MAC address or UUID."
            raise ApiError(Reason.NOT_FOUND, text)
        return httpbody_pb2.HttpBody(content_type="text/plain", data=script.encode())

    async def BeginBoot(
        self, request: netboot_pb2.BeginBootRequest, _context: Any
    ) -> netboot_pb2.BeginBootResponse:
        """What the booted system is to do."""
        try:
            begun = await self._answer.begin(
                request.token, request.report_token, current_call().address
            )
        except (TokenInvalid, TokenUsed) as wrong:
            raise _refusal(wrong) from None
        return netboot_pb2.BeginBootResponse(
            hostname=begun.boot.hostname,
            ssh_keys=begun.access.ssh_keys,
            password_hash=begun.access.password_hash,
            heartbeat_seconds=self._heartbeat_seconds,
            install=_pack_installation(begun),
        )

    async def GetDocument(
        self, request: netboot_pb2.GetDocumentRequest, _context: Any
    ) -> httpbody_pb2.HttpBody:
        """The document, as the installer reads it."""
        try:
            text = await self._answer.document(
                request.token, request.document, current_call().address
            )
        except (TokenInvalid, TokenUsed) as wrong:
            raise _refusal(wrong) from None
        return httpbody_pb2.HttpBody(content_type="text/plain", data=text.encode())

    async def ReportFirstBoot(
        self, request: netboot_pb2.ReportFirstBootRequest, _context: Any
    ) -> empty_pb2.Empty:
        """Keeps that the installed system has started."""
        try:
            await self._answer.first_boot(request.token, current_call().address)
        except (TokenInvalid, TokenUsed) as wrong:
            raise _refusal(wrong) from None
        return empty_pb2.Empty()

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
            await self._answer.report(request.report_token, report, current_call().address)
        except TokenInvalid as wrong:
            raise _refusal(wrong) from None
        return empty_pb2.Empty()


def _refusal(wrong: TokenInvalid | TokenUsed) -> ApiError:
    if isinstance(wrong, TokenUsed):
        text = "The token was used before: it is good for one system, and once."
        return ApiError(Reason.BOOT_TOKEN_USED, text)
    text = "The token is not valid: nobody's, or of a boot that is over."
    return ApiError(Reason.CREDENTIAL_INVALID, text)


def _pack_installation(begun: Begun) -> netboot_pb2.Installation | None:
    installation = begun.boot.installation
    if installation is None or installation.disk_image is None:
        return None
    return netboot_pb2.Installation(
        path=f"/images/{installation.disk_image.path}",
        sha256=installation.disk_image.sha256,
        size_bytes=installation.disk_image_bytes,
        seeds=[
            netboot_pb2.Installation.Seed(name=name, content=content)
            for name, content in begun.seeds.items()
        ],
    )
