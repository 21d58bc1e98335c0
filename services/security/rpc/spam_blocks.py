"""f2h.security.v1.SpamBlockService."""

from typing import Any

from f2h.security.v1 import antispam_pb2, spam_block_pb2, spam_block_pb2_grpc

from services.runtime import timestamps
from services.runtime.call import current_caller
from services.runtime.paging import decode_token, encode_token, page_size
from services.security.antispam.block import Block
from services.security.antispam.manage import ManageBlocks, Managed
from services.security.antispam.states import State
from services.security.inventory.located import canonical_ip

_SpamBlock = spam_block_pb2.SpamBlock


class SpamBlockServicer(spam_block_pb2_grpc.SpamBlockServiceServicer):
    """Lets the NOC block addresses."""

    def __init__(self, manage: ManageBlocks) -> None:
        self._manage = manage

    async def PutSpamBlock(
        self, request: spam_block_pb2.PutSpamBlockRequest, _context: Any
    ) -> spam_block_pb2.SpamBlock:
        """Blocks an address."""
        by = current_caller().principal.subject
        return _pack_managed(await self._manage.block(canonical_ip(request.ip), request.reason, by))

    async def ListSpamBlocks(
        self, request: spam_block_pb2.ListSpamBlocksRequest, _context: Any
    ) -> spam_block_pb2.ListSpamBlocksResponse:
        """A page of blocks."""
        size = page_size(request.page_size)
        after = decode_token(request.page_token)
        found = await self._manage.page(after, size + 1, lifted=request.lifted)
        page = found[:size]
        return spam_block_pb2.ListSpamBlocksResponse(
            blocks=map(_pack, page),
            next_page_token=encode_token(page[-1].ip) if len(found) > size else "",
        )

    async def LiftSpamBlock(
        self, request: spam_block_pb2.LiftSpamBlockRequest, _context: Any
    ) -> spam_block_pb2.SpamBlock:
        """Lifts a block."""
        ip = canonical_ip(request.ip)
        return _pack_managed(await self._manage.override(ip, forget=request.forget))


def _pack_managed(managed: Managed) -> spam_block_pb2.SpamBlock:
    message = _pack(managed.block)
    message.gates.extend(
        _SpamBlock.Gate(gateway=each.gateway, blocks=each.blocks, trouble=each.trouble)
        for each in managed.gates
    )
    if managed.server is not None:
        message.hostname, message.account = managed.server.hostname, managed.server.account
    return message


def _pack(block: Block) -> spam_block_pb2.SpamBlock:
    blocked = block.state is not State.UNBLOCKED
    return _SpamBlock(
        ip=block.ip,
        state=antispam_pb2.AntispamAddress.State.Value(block.state),
        reason=block.reason,
        blocked_by=block.blocked_by,
        blocked_since=timestamps.pack(block.block_time) if blocked else None,
        unblock_time=timestamps.pack(block.unblock_time) if blocked else None,
        times=block.times,
        lift_time=timestamps.pack(block.lift_time),
    )
