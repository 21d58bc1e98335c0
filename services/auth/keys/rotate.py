"""Rotating a key: a new one takes its place, and both work for a while if that is asked for."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

from f2h.access.v1.reason_pb2 import Reason

from services.auth.keys.digests import Digests
from services.auth.keys.expiry import Expiry
from services.auth.keys.key import ApiKey, KeyRequest, Keys, NewKey, SecretDigest
from services.auth.keys.once import once
from services.auth.keys.secret import KeyText
from services.auth.keys.update import found, require_of
from services.runtime.clock import Clock
from services.runtime.errors import ApiError


class RotateKey:
    """Rotates keys."""

    def __init__(
        self,
        keys: Keys,
        digests: Digests,
        expiry: Expiry,
        clock: Clock,
        *,
        generate: Callable[[], KeyText],
    ) -> None:
        self._keys = keys
        self._digests = digests
        self._expiry = expiry
        self._clock = clock
        self._generate = generate

    async def __call__(
        self,
        key_id: str,
        account: str | None,
        overlap: timedelta,
        request: KeyRequest | None = None,
    ) -> tuple[ApiKey, KeyText]:
        """The new key, and its text, which is not kept. `account` is whose the old one must be.

        The old key works for `overlap` more, never past its own end; without one it is revoked.
        Raises ApiError(NOT_FOUND), ApiError(KEY_NOT_ACTIVE) for a key that is past use or was
        rotated already, and what services.auth.keys.once.once raises for a request that made a key
        before.
        """
        rotate = partial(self._rotate, key_id, account, overlap, request)
        return await once(self._keys, request, rotate)

    async def _rotate(
        self, key_id: str, account: str | None, overlap: timedelta, request: KeyRequest | None
    ) -> tuple[ApiKey, KeyText]:
        now = self._clock()
        text = self._generate()
        pepper = self._digests.in_use
        digest = SecretDigest(pepper, self._digests.digest(text.secret, pepper))

        def retired(key: ApiKey) -> ApiKey:
            require_of(key, account)
            key.require_active(now)
            if key.replaced_by:
                message = f"Key {key.id} was rotated already: rotate {key.replaced_by} instead."
                raise ApiError(Reason.KEY_NOT_ACTIVE, message, metadata={"state": "ROTATED"})
            if not overlap:
                return replace(key, revoke_time=now, replaced_by=text.id)
            end = min(now + overlap, key.expire_time or now + overlap)
            return replace(key, expire_time=end, replaced_by=text.id)

        new: list[ApiKey] = []

        def successor(old: ApiKey) -> NewKey:
            new.append(
                replace(
                    old,
                    id=text.id,
                    create_time=now,
                    expire_time=self._expiry.again(old, now),
                    last_used_at=None,
                    last_used_ip="",
                    replaces=old.id,
                )
            )
            return NewKey(new[0], digest, request=request)

        found(await self._keys.change(key_id, retired, successor=successor), key_id)
        return new[0], text
