"""f2h.server_ops.v1.InstallService."""

from typing import Any

from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import install_pb2, install_pb2_grpc, operation_pb2
from google.longrunning import operations_pb2

from services.runtime import timestamps
from services.runtime.call import current_caller
from services.runtime.clock import Clock
from services.runtime.errors import ApiError, invalid
from services.runtime.paging import decode_token, encode_token, page_size
from services.server_ops.install.template import Template, Templates
from services.server_ops.install.workflow import STEPS
from services.server_ops.inventory.server import Servers, view_of
from services.server_ops.netboot.boot import Netboots
from services.server_ops.operations.cancel import CancelOperation
from services.server_ops.operations.operation import Kind, Operation
from services.server_ops.operations.repository import Operations
from services.server_ops.operations.request import RequestOperation
from services.server_ops.rpc.operation_message import pack, pack_step
from services.server_ops.rpc.operation_requests import operation_request


class InstallServicer(install_pb2_grpc.InstallServiceServicer):
    """Asks for installations, and shows how far they are."""

    def __init__(
        self,
        request_operation: RequestOperation,
        cancel_operation: CancelOperation,
        *,
        templates: Templates,
        servers: Servers,
        operations: Operations,
        netboots: Netboots,
        clock: Clock,
    ) -> None:
        self._request_operation = request_operation
        self._cancel_operation = cancel_operation
        self._templates = templates
        self._servers = servers
        self._operations = operations
        self._netboots = netboots
        self._clock = clock

    async def StartInstall(
        self, request: install_pb2.StartInstallRequest, _context: Any
    ) -> operations_pb2.Operation:
        """Accepts an installation."""
        await self._check_owner(request.hostname)
        template = await self._templates.find(request.template)
        if template is None:
            raise invalid("template", "must be the name of a template: see /api/install/templates")
        layout = template.layout(request.layout)
        if layout is None:
            names = ", ".join(each.name for each in template.layouts) or "empty: there is no choice"
            raise invalid("layout", f"must be {names}")
        return pack(
            await self._request_operation(
                operation_request(
                    Kind.INSTALL,
                    request.hostname,
                    request.request_id,
                    STEPS,
                    template=template.name,
                    layout=layout.name,
                    os_hostname=request.os_hostname or request.hostname,
                    ssh_keys="\n".join(request.ssh_keys),
                )
            )
        )

    async def GetInstallStatus(
        self, request: install_pb2.GetInstallStatusRequest, _context: Any
    ) -> install_pb2.InstallStatus:
        """How far the newest installation is."""
        operation = await self._newest(request.hostname)
        if operation is None:
            return install_pb2.InstallStatus()
        until = operation.end_time or self._clock()
        message = install_pb2.InstallStatus(
            state=operation_pb2.OperationMetadata.State.Value(operation.state),
            operation=operation.name,
            template=operation.parameters["template"],
            steps=[pack_step(step) for step in operation.steps],
            elapsed_seconds=max(0.0, (until - operation.create_time).total_seconds()),
            reason=operation.failure.reason if operation.failure else "",
        )
        boot = await self._netboots.boot(operation.id)
        if boot is not None:
            message.percent = boot.progress.percent
            message.message = boot.progress.message
            message.log.extend(boot.progress.log)
            message.MergeFrom(
                install_pb2.InstallStatus(contact_time=timestamps.pack(boot.contact_time))
            )
        if operation.failure:
            message.message = operation.failure.message
        return message

    async def CancelInstall(
        self, request: install_pb2.CancelInstallRequest, _context: Any
    ) -> operations_pb2.Operation:
        """Cancels the newest installation, if the machine was not restarted for it."""
        operation = await self._newest(request.hostname)
        if operation is None:
            raise ApiError(Reason.NOT_FOUND, f"Nothing is being installed on {request.hostname}.")
        return pack(await self._cancel_operation(operation.id))

    async def ListTemplates(
        self, request: install_pb2.ListTemplatesRequest, _context: Any
    ) -> install_pb2.ListTemplatesResponse:
        """A page of templates."""
        size = page_size(request.page_size)
        read = await self._templates.page(decode_token(request.page_token), size + 1)
        page = read[:size]
        return install_pb2.ListTemplatesResponse(
            templates=[_pack(template) for template in page],
            next_page_token=encode_token(page[-1].name) if len(read) > size else "",
        )

    async def _newest(self, hostname: str) -> Operation | None:
        await self._check_owner(hostname)
        account = current_caller().account
        return await self._operations.newest(server=hostname, account=account, kind=Kind.INSTALL)

    async def _check_owner(self, hostname: str) -> None:
        await view_of(self._servers, hostname, current_caller().account)


def _pack(template: Template) -> install_pb2.InstallTemplate:
    return install_pb2.InstallTemplate(
        name=template.name,
        os=template.os,
        version=template.version,
        layouts=[
            install_pb2.InstallTemplate.Layout(name=each.name, description=each.description)
            for each in template.layouts
        ],
    )
