"""Durable workflows by DBOS, on a database of the same kind as the service's own."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar
from uuid import UUID

from dbos import DBOS, DBOSConfig, SetWorkflowID
from opentelemetry.trace import SpanKind

from services.runtime import tracing
from services.server_ops.operations.operation import WrongState
from services.server_ops.operations.workflow import OperationFailed

T = TypeVar("T")

WORKFLOW_VERSION = "2"
"""Changes when a workflow's steps change: only the version that began one recovers it."""

_GAVE_UP = frozenset({"ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})
"""DBOS's names for ends without success."""

STEP_ATTEMPTS = 8
STEP_PAUSE_SECONDS = 0.5
STEP_BACKOFF = 2.0
"""A step whose database is away is tried again for a minute and a half."""


def migrate(url: str) -> None:
    """Brings the system database at `url` to the form that this version of DBOS needs.

    DBOS would do so at launch as well, where processes that start at once wait for one another.
    """
    DBOS.migrate(url)


class DurableWorkflows:
    """Implements operations.workflow.Durable and starts workflows. One a process."""

    def __init__(self, url: str, instance: str) -> None:
        """`url` is the system database; `instance` names this process, the same after a restart."""
        DBOS(
            config=DBOSConfig(
                name="server_ops",
                system_database_url=url,
                executor_id=instance,
                application_version=WORKFLOW_VERSION,
                log_level="WARNING",
            )
        )
        self._run: Callable[[str, str], Coroutine[Any, Any, None]] | None = None
        self._under_way: set[asyncio.Task[Any]] = set()

    def launch(self, run: Callable[[UUID], Awaitable[None]]) -> None:
        """Registers the workflow, and takes up what was under way when the process last ended.

        Called within the event loop that everything else runs in.
        """

        @DBOS.workflow(name="operation")
        async def workflow(operation: str, traceparent: str = "") -> None:
            # Kept with the workflow: who takes it up goes on with the trace of the request.
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - a coroutine runs in one
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            span = tracing.begin(
                "operation", traceparent, SpanKind.INTERNAL, {"f2h.operation": operation}
            )
            try:
                await run(UUID(operation))
            finally:
                span.end()

        self._run = workflow
        DBOS.launch()
        logging.getLogger("dbos").setLevel(logging.ERROR)

    async def start(self, operation: UUID) -> None:
        """Begins the workflow of an operation; a second time changes nothing."""
        assert self._run is not None, "launch() comes first"  # noqa: S101
        with SetWorkflowID(str(operation)):
            await DBOS.start_workflow_async(self._run, str(operation), tracing.traceparent())

    async def gave_up(self, operation: UUID) -> bool:
        """Whether the workflow of an operation ended without success and will not be taken up."""
        status = await DBOS.get_workflow_status_async(str(operation))
        if status is None:
            return False
        return status.status in _GAVE_UP or status.app_version != WORKFLOW_VERSION

    async def runner(self, operation: UUID) -> str | None:
        """The process that runs the workflow of an operation, or ran it last."""
        status = await DBOS.get_workflow_status_async(str(operation))
        return None if status is None else status.executor_id or ""

    async def adopt(self, runner: str) -> None:
        """Puts what a process that is gone was running into the queue that all processes take from.

        Each workflow is taken by one of them, at its last step; a second time changes nothing.
        """
        # Public only as a call of DBOS's own administration server. `resume_workflow`, which is
        # public, would also start again what somebody else has just adopted.
        await asyncio.to_thread(DBOS._recover_pending_workflows, [runner])  # noqa: SLF001

    async def forget(self, operations: list[UUID]) -> None:
        """Removes what is kept of the workflows of operations."""
        await DBOS.delete_workflows_async([str(each) for each in operations])

    async def step(self, name: str, run: Callable[[], Awaitable[T]]) -> T:
        """Runs a step of the present workflow, or answers what it answered before a crash."""

        async def body() -> T:
            with tracing.span(f"operation {name}"):
                return await run()

        return await DBOS.run_step_async(
            {
                "name": name,
                "retries_allowed": True,
                "max_attempts": STEP_ATTEMPTS,
                "interval_seconds": STEP_PAUSE_SECONDS,
                "backoff_rate": STEP_BACKOFF,
                "should_retry": lambda error: not isinstance(error, (OperationFailed, WrongState)),
            },
            body,
        )

    async def halt(self) -> None:
        """Stops what is under way, where it stands: it is taken up at the next launch."""
        under_way = [*self._under_way]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    def close(self) -> None:
        """Ends it. The event loop has no threads after this: DBOS gave it its own."""
        DBOS.destroy(destroy_registry=True)
