import asyncio
from datetime import UTC, datetime

import grpc
import grpc.aio
import pytest
from f2h.access.v1.principal_pb2 import Principal
from f2h.access.v1.reason_pb2 import Reason

from services.runtime import standing
from services.runtime.call import Caller
from services.runtime.errors import ApiError
from services.runtime.places import Places
from services.runtime.standing import Standing

EXPIRY = 2_000_000_000


class Auth:
    """Renews principals, or does not."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.fault: Exception | None = None
        self.now = EXPIRY - 10.0

    async def renew(self, header: str) -> str:
        self.shown.append(header)
        if self.fault is not None:
            raise self.fault
        return header + "+"

    def verify(self, _header: str) -> Principal:
        return Principal(expire_seconds=EXPIRY)

    def clock(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)


@pytest.fixture
def auth(monkeypatch: pytest.MonkeyPatch) -> Auth:
    monkeypatch.setattr(standing, "ASK_SECONDS", 0.01)
    return Auth()


def caller(subject: str = "a") -> Caller:
    return Caller(Principal(subject=subject, expire_seconds=EXPIRY), subject, None)


async def eventually(length: int, of: list[str]) -> None:
    async with asyncio.timeout(5):
        while len(of) < length:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


async def test_a_caller_is_renewed_as_long_as_there_is_a_stream(auth: Auth) -> None:
    watch = Standing(auth.renew, auth.verify, auth.clock)
    async with watch.of(caller()) as over:
        await eventually(3, auth.shown)
        assert not over.done()
    assert auth.shown[:3] == ["a", "a+", "a++"]
    asked = len(auth.shown)
    await asyncio.sleep(0.05)
    assert len(auth.shown) <= asked + 1


async def test_all_streams_of_a_caller_ask_once_and_end_together(auth: Auth) -> None:
    watch = Standing(auth.renew, auth.verify, auth.clock)
    async with watch.of(caller()) as one, watch.of(caller()) as two, watch.of(caller("b")) as other:
        assert one is two
        assert one is not other
        await eventually(2, auth.shown)
        assert {each[0] for each in auth.shown} == {"a", "b"}
        auth.fault = ApiError(Reason.KEY_REVOKED, "This API key was revoked.")
        async with asyncio.timeout(5):
            assert (await one).reason == (await other).reason == Reason.KEY_REVOKED
    auth.fault = None
    async with watch.of(caller()) as anew:
        assert not anew.done()


async def test_without_auth_a_stream_lasts_as_long_as_its_principal(auth: Auth) -> None:
    watch = Standing(auth.renew, auth.verify, auth.clock)
    auth.fault = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "", ""
    )
    async with watch.of(caller()) as over:
        await eventually(3, auth.shown)
        assert not over.done()
        auth.now = EXPIRY
        async with asyncio.timeout(5):
            assert (await over).reason == Reason.DEPENDENCY_UNAVAILABLE


def test_places_are_bounded_for_each_and_for_all() -> None:
    places = Places("things are held", total=3, each=2)
    with places.one("a"), places.one("a"):
        with pytest.raises(ApiError, match="may have 2 at once"), places.one("a"):
            pass
        with places.one("b"), pytest.raises(ApiError), places.one("c"):
            pass
    with places.one("a"):
        pass
