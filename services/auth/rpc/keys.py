"""f2h.auth.v1.KeyService."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1 import key_pb2, key_pb2_grpc

from services.auth.keys.create import CreateKey, KeyForm
from services.auth.keys.key import ApiKey, Keys, position
from services.runtime import timestamps
from services.runtime.clock import Clock
from services.runtime.errors import ApiError, invalid
from services.runtime.paging import decode_token, encode_token, page_size

_POSITION = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00 [0-9a-f]{16}")
"""What services.auth.keys.key.position makes."""


class KeyServicer(key_pb2_grpc.KeyServiceServicer):
    """Makes, shows and revokes keys."""

    def __init__(
        self, create: CreateKey, keys: Keys, forget: Callable[[str], None], clock: Clock
    ) -> None:
        """`forget` makes the check read a key again."""
        self._create = create
        self._keys = keys
        self._forget = forget
        self._clock = clock

    async def CreateKey(
        self, request: key_pb2.CreateKeyRequest, _context: Any
    ) -> key_pb2.CreateKeyResponse:
        """Makes a key."""
        form = KeyForm(
            account=request.account,
            label=request.label,
            servers=tuple(request.servers),
            capabilities=tuple(request.capabilities),
            cidrs=tuple(request.cidrs),
            expire_time=_end(request),
        )
        key, text = await self._create.for_customer(form)
        return key_pb2.CreateKeyResponse(key=self._pack(key), secret=str(text))

    async def ListKeys(
        self, request: key_pb2.ListKeysRequest, _context: Any
    ) -> key_pb2.ListKeysResponse:
        """A page of an account's keys."""
        if not request.account:
            raise invalid("account", "is required: say whose keys to list")
        size = page_size(request.page_size)
        found = await self._keys.page(request.account, _position(request.page_token), size + 1)
        page = found[:size]
        return key_pb2.ListKeysResponse(
            keys=[self._pack(key) for key in page],
            next_page_token=encode_token(position(page[-1])) if len(found) > size else "",
        )

    async def GetKey(self, request: key_pb2.GetKeyRequest, _context: Any) -> key_pb2.ApiKey:
        """A key."""
        return self._pack(_found(await self._keys.get(request.id), request.id))

    async def RevokeKey(self, request: key_pb2.RevokeKeyRequest, _context: Any) -> key_pb2.ApiKey:
        """Revokes a key."""
        key = _found(await self._keys.revoke(request.id, self._clock()), request.id)
        self._forget(request.id)
        return self._pack(key)

    def _pack(self, key: ApiKey) -> key_pb2.ApiKey:
        return key_pb2.ApiKey(
            id=key.id,
            account=key.account,
            label=key.label,
            capabilities=key.capabilities,
            servers=key.servers,
            cidrs=key.cidrs,
            state=key_pb2.ApiKey.State.Value(key.state(self._clock())),
            create_time=timestamps.pack(key.create_time),
            expire_time=timestamps.pack(key.expire_time),
            revoke_time=timestamps.pack(key.revoke_time),
        )


def _found(key: ApiKey | None, key_id: str) -> ApiKey:
    if key is None:
        raise ApiError(Reason.NOT_FOUND, f"There is no key {key_id}.")
    return key


def _end(request: key_pb2.CreateKeyRequest) -> datetime | None:
    """When the key stops to work. What comes as gRPC can be no time at all."""
    if not request.HasField("expire_time"):
        return None
    try:
        return timestamps.unpack(request.expire_time)
    except ValueError:
        raise invalid("expire_time", "must be a time before the year 10000") from None


def _position(token: str) -> str:
    """Where the page before ended; a token that was not made by us is refused."""
    place = decode_token(token)
    if place and not (_POSITION.fullmatch(place) and _is_time(place.partition(" ")[0])):
        raise invalid("page_token", "must be the next_page_token of an earlier answer")
    return place


def _is_time(text: str) -> bool:
    """Whether there is such a time: the form alone admits the 45th of a month."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
