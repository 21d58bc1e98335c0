"""The operator's rule: an address that Spamhaus lists is blocked, and the audit trail says so."""

import structlog
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1.audit_pb2 import AuditRecord

from services.runtime.audit import Attempt, Outcome, Recorder
from services.runtime.call import Caller
from services.runtime.errors import ApiError
from services.runtime.principal import OwnName
from services.security.antispam.block import Blocks
from services.security.antispam.manage import ManageBlocks
from services.security.antispam.states import State
from services.security.inventory.located import Inventory

METHOD = "/f2h.security.v1.SpamBlockService/PutSpamBlock"
"""What the NOC would have called for the same."""

log = structlog.get_logger()


class AuditedRule:
    """Implements BlockByRule. No record, no block."""

    def __init__(
        self,
        inventory: Inventory,
        blocks: Blocks,
        manage: ManageBlocks,
        recorder: Recorder,
        own_name: OwnName,
    ) -> None:
        self._inventory = inventory
        self._blocks = blocks
        self._manage = manage
        self._recorder = recorder
        self._own_name = own_name

    async def __call__(self, ip: str, reason: str) -> None:
        """See BlockByRule."""
        block = (await self._blocks.of([ip])).get(ip)
        server = await self._inventory.with_ip(ip)
        if server is None or (block is not None and block.state is not State.UNBLOCKED):
            return
        caller = Caller(self._own_name.principal(), self._own_name.header(), None)
        attempt = Attempt(METHOD, resource=ip, account=server.account, address="", request="")
        try:
            sequence = await self._recorder.attempt(caller, attempt)
        except Exception:
            log.exception("attempt not recorded: not blocked", ip=ip)
            return
        outcome = Outcome(AuditRecord.ACCEPTED)
        try:
            await self._manage.block(ip, reason, caller.principal.subject)
        except ApiError as error:
            outcome = Outcome(AuditRecord.FAILED, Reason.Name(error.reason))
            log.error("address not blocked", ip=ip, reason=Reason.Name(error.reason))
        try:
            await self._recorder.outcome(caller, sequence, outcome)
        except Exception:
            log.exception("outcome not recorded", attempt=sequence, outcome=outcome.outcome)
