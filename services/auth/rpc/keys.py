"""f2h.auth.v1.KeyService."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from f2h.auth.v1 import key_pb2, key_pb2_grpc

from services.auth.keys.create import CreateKey, KeyForm
from services.auth.keys.key import ApiKey, Inventory, KeyRequest, Keys, position
from services.auth.keys.rotate import RotateKey
from services.auth.keys.update import KeyChange, UpdateKey, found, require_of
from services.auth.keys.warnings import servers_of, warnings
from services.auth.rpc.scope import account_asked, account_of_form, own_account
from services.runtime import timestamps
from services.runtime.call import current_caller
from services.runtime.clock import Clock
from services.runtime.errors import invalid
from services.runtime.paging import decode_token, encode_token, page_size
from services.runtime.request_id import request_id

_POSITION = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00 [0-9a-f]{16}")
"""What services.auth.keys.key.position makes."""

_Overlap = key_pb2.RotateKeyRequest
_OVERLAPS = {
    _Overlap.OVERLAP_UNSPECIFIED: timedelta(),
    _Overlap.NOW: timedelta(),
    _Overlap.ONE_HOUR: timedelta(hours=1),
    _Overlap.ONE_DAY: timedelta(days=1),
    _Overlap.SEVEN_DAYS: timedelta(days=7),
}


@dataclass(frozen=True)
class UseCases:
    """What KeyServicer asks."""

    create: CreateKey
    update: UpdateKey
    rotate: RotateKey
    keys: Keys
    inventory: Inventory


class KeyServicer(key_pb2_grpc.KeyServiceServicer):
    """Makes, shows, changes, rotates and revokes keys."""

    def __init__(self, use: UseCases, forget: Callable[[str], None], clock: Clock) -> None:
        """`forget` makes the check read a key again."""
        self._use = use
        self._forget = forget
        self._clock = clock

    async def CreateKey(
        self, request: key_pb2.CreateKeyRequest, _context: Any
    ) -> key_pb2.CreateKeyResponse:
        """Makes a key."""
        # Left out or given, the own account is the same.
        request.account = account_of_form(request.account)
        form = KeyForm(
            account=request.account,
            label=request.label,
            servers=tuple(request.servers),
            capabilities=tuple(request.capabilities),
            cidrs=tuple(request.cidrs),
            expire_time=_end(request),
            no_expiry=request.no_expiry,
        )
        key, text = await self._use.create.for_customer(form, _request(request))
        return key_pb2.CreateKeyResponse(key=await self._shown(key), secret=str(text))

    async def ListKeys(
        self, request: key_pb2.ListKeysRequest, _context: Any
    ) -> key_pb2.ListKeysResponse:
        """A page of an account's keys."""
        account = account_asked(request.account)
        size = page_size(request.page_size)
        read = await self._use.keys.page(account, _position(request.page_token), size + 1)
        page = read[:size]
        return key_pb2.ListKeysResponse(
            keys=await self._pack(page, account),
            next_page_token=encode_token(position(page[-1])) if len(read) > size else "",
        )

    async def GetKey(self, request: key_pb2.GetKeyRequest, _context: Any) -> key_pb2.ApiKey:
        """A key."""
        key = found(await self._use.keys.get(request.id), request.id)
        require_of(key, own_account())
        return await self._shown(key)

    async def UpdateKey(self, request: key_pb2.UpdateKeyRequest, _context: Any) -> key_pb2.ApiKey:
        """Changes a key."""
        key = await self._use.update(request.id, own_account(), _change(request))
        self._forget(request.id)
        return await self._shown(key)

    async def RotateKey(
        self, request: key_pb2.RotateKeyRequest, _context: Any
    ) -> key_pb2.CreateKeyResponse:
        """Makes the key that takes another's place."""
        overlap = _OVERLAPS[request.overlap]
        key, text = await self._use.rotate(request.id, own_account(), overlap, _request(request))
        self._forget(request.id)
        return key_pb2.CreateKeyResponse(key=await self._shown(key), secret=str(text))

    async def RevokeKey(self, request: key_pb2.RevokeKeyRequest, _context: Any) -> key_pb2.ApiKey:
        """Revokes a key."""
        own, now = own_account(), self._clock()

        def revoked(key: ApiKey) -> ApiKey:
            require_of(key, own)
            return replace(key, revoke_time=key.revoke_time or now)

        key = found(await self._use.keys.change(request.id, revoked), request.id)
        self._forget(request.id)
        return await self._shown(key)

    async def _shown(self, key: ApiKey) -> key_pb2.ApiKey:
        return (await self._pack([key], key.account))[0]

    async def _pack(self, keys: Iterable[ApiKey], account: str) -> list[key_pb2.ApiKey]:
        keys, now = [*keys], self._clock()
        calls = await self._use.keys.calls([key.id for key in keys], now)
        owned = await servers_of(keys, account, self._use.inventory)
        return [
            key_pb2.ApiKey(
                id=key.id,
                account=key.account,
                label=key.label,
                capabilities=key.capabilities,
                servers=key.servers,
                cidrs=key.cidrs,
                state=key_pb2.ApiKey.State.Value(key.state(now)),
                create_time=timestamps.pack(key.create_time),
                expire_time=timestamps.pack(key.expire_time),
                revoke_time=timestamps.pack(key.revoke_time),
                last_used_at=timestamps.pack(key.last_used_at),
                last_used_ip=key.last_used_ip,
                calls=[
                    key_pb2.ApiKey.Calls(
                        capability=capability,
                        last_24_hours=each.last_24_hours,
                        last_30_days=each.last_30_days,
                    )
                    for capability, each in calls.get(key.id, {}).items()
                ],
                warnings=[
                    key_pb2.ApiKey.Warning.Value(warning) for warning in warnings(key, now, owned)
                ],
                replaces=key.replaces,
                replaced_by=key.replaced_by,
            )
            for key in keys
        ]


def _request(asked: key_pb2.CreateKeyRequest | key_pb2.RotateKeyRequest) -> KeyRequest | None:
    """The present caller's request, if it has an id. The id is taken out of `asked`."""
    given = request_id(asked.request_id)
    if not given:
        return None
    asked.ClearField("request_id")
    content = asked.DESCRIPTOR.full_name.encode() + asked.SerializeToString(deterministic=True)
    return KeyRequest(current_caller().principal.subject, given, sha256(content).digest())


def _change(request: key_pb2.UpdateKeyRequest) -> KeyChange:
    """What the mask names, or what is not empty when there is no mask."""
    given = {
        "label": request.label,
        "cidrs": tuple(request.cidrs),
        "capabilities": tuple(request.capabilities),
        "servers": tuple(request.servers),
    }
    named = {*request.update_mask.paths} or {name for name, value in given.items() if value}
    if not named:
        text = "name what to change: label, cidrs, capabilities, servers"
        raise invalid("update_mask", text)
    for name, value in given.items():
        if value and name not in named:
            raise invalid(name, "is given, but update_mask does not name it")
    return KeyChange(**{name: given[name] for name in named})  # type: ignore[arg-type]


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
