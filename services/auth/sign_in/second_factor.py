"""A second factor: codes of an authenticator (TOTP, RFC 6238), and codes for when it is lost."""

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pyotp
from f2h.access.v1.reason_pb2 import Reason

from services.auth.accounts.user import User, Users
from services.auth.keys.digests import Digests
from services.runtime.clock import Clock
from services.runtime.errors import ApiError, invalid
from services.runtime.sealing import Sealer

ISSUER = "F2HCloud"
STEP = timedelta(seconds=30)
WINDOW = 1
"""Codes of so many steps before and after are taken: clocks differ."""

RECOVERY_CODES = 10
_RECOVERY_BYTES = 10


class SecondFactor:
    """Sets second factors up, and asks for their codes."""

    def __init__(self, users: Users, sealer: Sealer, digests: Digests, clock: Clock) -> None:
        self._users = users
        self._sealer = sealer
        self._digests = digests
        self._clock = clock

    async def begin(self, user: User) -> tuple[str, str]:
        """A new shared secret, base32, and the same as an otpauth URI.

        Raises ApiError(ALREADY_EXISTS) while a confirmed one is there: it is removed first.
        """
        secret = pyotp.random_base32()
        sealed = self._sealer.seal(_owner(user), secret.encode())

        def begun(found: User) -> User:
            if found.second_factor:
                text = "A second factor is set up: remove it first."
                raise ApiError(Reason.ALREADY_EXISTS, text, metadata={"resource": "second factor"})
            return replace(found, totp=sealed, totp_confirmed=False, totp_step=0)

        await self._users.change(user.id, begun)
        return secret, pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=ISSUER)

    async def confirm(self, user: User, code: str) -> list[str]:
        """From now on a code is asked for; the recovery codes, which are not kept.

        Raises ApiError(NOT_SET_UP), and ApiError(INVALID_REQUEST) for a wrong code.
        """
        codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
        digests = tuple(map(self._digest, codes))

        def confirmed(found: User) -> User:
            if found.totp is None or found.totp_confirmed:
                text = "No second factor waits to be confirmed: begin to set one up."
                raise ApiError(Reason.NOT_SET_UP, text)
            step = self._step(found, code)
            if step is None:
                raise invalid("code", "is not the code of this moment: check the device's clock")
            return replace(found, totp_confirmed=True, totp_step=step, recovery=digests)

        await self._users.change(user.id, confirmed)
        return codes

    async def use(self, user: User, code: str) -> bool:
        """Whether a code is right, of the authenticator or for recovery; it is not right again."""
        right = False

        def used(found: User) -> User:
            nonlocal right
            right = False
            step = self._step(found, code)
            if step is not None:
                right = True
                return replace(found, totp_step=step)
            left = tuple(each for each in found.recovery if not self._is(each, code))
            right = len(left) < len(found.recovery)
            return replace(found, recovery=left)

        await self._users.change(user.id, used)
        return right

    async def remove(self, user: User) -> None:
        """From now on no code is asked for."""
        await self._users.change(
            user.id, lambda found: replace(found, totp=None, totp_confirmed=False, recovery=())
        )

    def _step(self, user: User, code: str) -> int | None:
        """The time step that the code is of, if it is newer than any that was used."""
        if user.totp is None:
            return None
        totp = pyotp.TOTP(self._sealer.open(_owner(user), user.totp).decode())
        now = int(self._clock().timestamp()) // int(STEP.total_seconds())
        found = None
        for step in range(now - WINDOW, now + WINDOW + 1):
            same = hmac.compare_digest(totp.generate_otp(step).encode(), _normal(code).encode())
            if same and step > user.totp_step:
                found = step
        return found

    def _digest(self, code: str) -> str:
        pepper = self._digests.in_use
        return f"{pepper}:{self._digests.digest(_normal(code), pepper).hex()}"

    def _is(self, kept: str, code: str) -> bool:
        pepper, _, digest = kept.partition(":")
        return self._digests.matches(_normal(code), int(pepper), bytes.fromhex(digest))


def peppers_of(recovery: Iterable[str]) -> set[int]:
    """The numbers of the peppers that kept recovery codes need."""
    return {int(each.partition(":")[0]) for each in recovery}


def _recovery_code() -> str:
    """80 random bits, in four groups that a person can copy."""
    digits = secrets.token_hex(_RECOVERY_BYTES)
    return "-".join(digits[start : start + 5] for start in range(0, len(digits), 5))


def _normal(code: str) -> str:
    return code.replace("-", "").replace(" ", "").lower()


def _owner(user: User) -> str:
    return f"totp {user.id}"
