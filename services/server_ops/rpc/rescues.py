"""f2h.server_ops.v1.RescueService."""

from typing import Any

from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import rescue_pb2, rescue_pb2_grpc
from google.longrunning import operations_pb2

from services.runtime import timestamps
from services.runtime.call import current_caller
from services.runtime.errors import ApiError, invalid
from services.server_ops.inventory.server import Servers, view_of
from services.server_ops.netboot.boot import Netboots
from services.server_ops.netboot.image import ImageKind, Images
from services.server_ops.operations.operation import Kind
from services.server_ops.operations.request import OperationRequest, RequestOperation
from services.server_ops.rescue.host_key import fingerprint
from services.server_ops.rescue.rescue import Rescue, Rescues, WrongRescueState
from services.server_ops.rescue.states import Event, State
from services.server_ops.rescue.workflow import ENTER_STEPS, EXIT_STEPS
from services.server_ops.rpc.operation_message import pack
from services.server_ops.rpc.operation_requests import operation_request


class RescueServicer(rescue_pb2_grpc.RescueServiceServicer):
    """Asks for the rescue system, and shows it."""

    def __init__(
        self,
        request_operation: RequestOperation,
        *,
        servers: Servers,
        rescues: Rescues,
        netboots: Netboots,
        images: Images,
        default_image: str,
    ) -> None:
        """`default_image` is booted when the caller names none."""
        self._request_operation = request_operation
        self._servers = servers
        self._rescues = rescues
        self._netboots = netboots
        self._images = images
        self._default_image = default_image

    async def EnterRescue(
        self, request: rescue_pb2.EnterRescueRequest, _context: Any
    ) -> operations_pb2.Operation:
        """Accepts to boot a server into rescue."""
        await self._check_owner(request.hostname)
        image = await self._image(request.image)
        return await self._accepted(
            operation_request(
                Kind.RESCUE_ENTER,
                request.hostname,
                request.request_id,
                ENTER_STEPS,
                image=image,
                ssh_keys="\n".join(request.ssh_keys),
            )
        )

    async def ExitRescue(
        self, request: rescue_pb2.ExitRescueRequest, _context: Any
    ) -> operations_pb2.Operation:
        """Accepts to leave rescue."""
        return await self._accepted(
            operation_request(Kind.RESCUE_EXIT, request.hostname, request.request_id, EXIT_STEPS)
        )

    async def GetRescue(
        self, request: rescue_pb2.GetRescueRequest, _context: Any
    ) -> rescue_pb2.Rescue:
        """Where the server stands."""
        rescue = await self._of_caller(request.hostname)
        message = rescue_pb2.Rescue(
            state=rescue_pb2.Rescue.State.Value(rescue.state),
            operation=f"operations/{rescue.operation}" if rescue.operation else "",
        )
        boot = await self._netboots.boot(rescue.entered_by) if rescue.entered_by else None
        if boot is None or rescue.state is State.INACTIVE:
            return message
        access = await self._netboots.access(boot.operation)
        message.MergeFrom(
            rescue_pb2.Rescue(
                image=boot.image.name,
                ssh_host_keys=boot.progress.ssh_host_keys,
                ssh_host_key_fingerprints=map(fingerprint, boot.progress.ssh_host_keys),
                ready_time=timestamps.pack(boot.progress.ready_time),
                contact_time=timestamps.pack(boot.contact_time),
                password_readable=bool(access.password) and rescue.state is State.ACTIVE,
            )
        )
        return message

    async def ReadRescuePassword(
        self, request: rescue_pb2.ReadRescuePasswordRequest, _context: Any
    ) -> rescue_pb2.ReadRescuePasswordResponse:
        """The password, once."""
        rescue = await self._of_caller(request.hostname)
        if rescue.state is not State.ACTIVE or rescue.entered_by is None:
            raise _not_active(request.hostname, rescue.state)
        password = await self._netboots.take_password(rescue.entered_by)
        if not password:
            text = "There is no password to read: it was read, or SSH keys were given instead."
            raise ApiError(Reason.NOT_FOUND, text)
        return rescue_pb2.ReadRescuePasswordResponse(password=password)

    async def _accepted(self, request: OperationRequest) -> operations_pb2.Operation:
        try:
            return pack(await self._request_operation(request))
        except WrongRescueState as wrong:
            if wrong.event is Event.EXIT:
                raise _not_active(request.hostname, wrong.state) from None
            raise ApiError(
                Reason.RESCUE_ACTIVE,
                f"{request.hostname} is in the rescue system. Exit it first, to enter it anew.",
                metadata={"server": request.hostname},
            ) from None

    async def _of_caller(self, hostname: str) -> Rescue:
        await self._check_owner(hostname)
        return await self._rescues.find(hostname)

    async def _check_owner(self, hostname: str) -> None:
        await view_of(self._servers, hostname, current_caller().account)

    async def _image(self, name: str) -> str:
        image = await self._images.find(name or self._default_image)
        if image is not None and image.kind is ImageKind.RESCUE:
            return image.name
        if name:
            raise invalid("image", "must be the name of a rescue image")
        text = f"There is no rescue image {self._default_image} here."
        raise ApiError(Reason.NOT_SET_UP, text)


def _not_active(hostname: str, state: State) -> ApiError:
    return ApiError(
        Reason.RESCUE_NOT_ACTIVE,
        f"{hostname} is not in the rescue system: its state is {state}.",
        metadata={"server": hostname},
    )
