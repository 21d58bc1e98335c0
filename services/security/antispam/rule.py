"""The operator's rule: an address that Spamhaus lists is blocked, and the audit trail says so."""

import structlog
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1.audit_pb2 import AuditRecord

from services.runtime.audit import Attempt, Outcome, Recorder
from services.runtime.call import Caller
from services.runtime.errors import ApiError
from services.runtime.principal import OwnName
from services.security.antispam.block import Blocks
from services.security.antispam.listing import Blocklist, SpamhausList
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
        *,
        blocklist: Blocklist,
        recorder: Recorder,
        own_name: OwnName,
        block_lists: frozenset[SpamhausList],
    ) -> None:
        """An address is blocked for the lists in `block_lists`."""
        self._inventory = inventory
        self._blocks = blocks
        self._manage = manage
        self._blocklist = blocklist
        self._block_lists = block_lists
        self._recorder = recorder
        self._own_name = own_name

    async def __call__(self, ip: str) -> None:
        """See BlockByRule."""
        block = (await self._blocks.of([ip])).get(ip)
        server = await self._inventory.with_ip(ip)
        if server is None or (block is not None and block.state is not State.UNBLOCKED):
            return
        # Asked again: it may have been delisted, and unblocked, since the sweep was told.
        found = await self._blocklist.look_up(ip, fresh=True)
        lists = sorted(self._block_lists.intersection(each.list for each in found.listings))
        if not lists:
            return
        caller = Caller(self._own_name.principal(), self._own_name.header(), None)
        attempt = Attempt(METHOD, resource=ip, account=server.account, address="", request="")
        try:
            sequence = await self._recorder.attempt(caller, attempt)
        except Exception:
            log.exception("attempt not recorded: not blocked", ip=ip)
            return
        reason = f"Spamhaus lists it on {', '.join(lists)}."
        outcome = await self._block(ip, reason, caller.principal.subject)
        try:
            await self._recorder.outcome(caller, sequence, outcome)
        except Exception:
            log.exception("outcome not recorded", attempt=sequence, outcome=outcome.outcome)

    async def _block(self, ip: str, reason: str, by: str) -> Outcome:
        try:
            await self._manage.block(ip, reason, by)
        except ApiError as error:
            log.error("address not blocked", ip=ip, reason=Reason.Name(error.reason))
            return Outcome(AuditRecord.FAILED, Reason.Name(error.reason))
        except Exception:
            log.exception("address not blocked", ip=ip)
            return Outcome(AuditRecord.FAILED, Reason.Name(Reason.INTERNAL))
        return Outcome(AuditRecord.ACCEPTED)
