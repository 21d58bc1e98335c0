"""Operations: asking for them, running them, showing them."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from uuid import uuid4

import grpc.aio
from f2h.server_ops.v1 import operation_pb2_grpc, power_pb2_grpc, reboot_pb2_grpc

from services.server_ops.adapters.durable import DurableWorkflows
from services.server_ops.bootstrap.ground import Ground
from services.server_ops.operations.cancel import CancelOperation
from services.server_ops.operations.operation import Kind
from services.server_ops.operations.request import RequestOperation
from services.server_ops.operations.takeover import TakeOver
from services.server_ops.operations.tidy import TidyOperations
from services.server_ops.operations.watch import Changes, WatchOperation
from services.server_ops.operations.workflow import Act, Workflow
from services.server_ops.rpc.longrunning import LongrunningServicer
from services.server_ops.rpc.operations import OperationServicer
from services.server_ops.rpc.power import PowerServicer
from services.server_ops.rpc.reboots import RebootServicer


class Operating:
    """What accepts operations and runs them to their end."""

    def __init__(
        self,
        ground: Ground,
        acts: Mapping[Kind, Act],
        changes: Changes,
        living: Callable[[], Awaitable[frozenset[str]]],
    ) -> None:
        """`living` are the processes that are there."""
        self._ground = ground
        self._changes = changes
        settings, operations, clock = ground.settings, ground.operations, ground.clock
        self._durable = DurableWorkflows(settings.durable_url, settings.instance)
        workflow = Workflow(operations, acts, self._durable, clock)
        self.launch = partial(self._durable.launch, workflow.run)
        self.take_over = TakeOver(operations, self._durable, living, workflow.give_up, clock)
        self.request = RequestOperation(
            ground.servers, operations, self._durable.start, clock, uuid4
        )
        self.cancel = CancelOperation(operations, clock)
        self.tidy = TidyOperations(operations, self._durable.forget, clock, settings.operation_age)

    def add_services(self, to: grpc.aio.Server, capabilities: Mapping[Kind, str]) -> None:
        """Adds what answers calls; `capabilities` are those that each kind is asked for with."""
        watch = WatchOperation(self._ground.operations, self._changes)
        servicer = OperationServicer(
            self._ground.operations, self._ground.servers, watch, self.cancel, capabilities
        )
        operation_pb2_grpc.add_OperationServiceServicer_to_server(servicer, to)
        LongrunningServicer(servicer).add_to(to)
        power_pb2_grpc.add_PowerServiceServicer_to_server(PowerServicer(self.request), to)
        reboot_pb2_grpc.add_RebootServiceServicer_to_server(RebootServicer(self.request), to)

    async def halt(self) -> None:
        """Lets go of what runs: it goes on elsewhere, or at the next start."""
        await self._durable.halt()

    def close(self) -> None:
        """Closes where it is kept how far they are."""
        self._durable.close()
