"""One attempt over real sockets: where it goes, and where it never does."""

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from lab import ca
from services.server_ops.adapters.webhooks.network import SystemResolver
from services.server_ops.adapters.webhooks.sender import MOST_ANSWER_BYTES, HttpSender
from services.server_ops.webhooks.answer import Answer, Reason
from services.server_ops.webhooks.target import TargetRules
from tests.integration.webhooks.receiver import Receiver

ANYWHERE = TargetRules([ip_network("127.0.0.0/8")], allow_http=True, ports=frozenset())
NOWHERE = TargetRules(allow_http=True, ports=frozenset())
BOTH_LOOPBACKS = TargetRules(
    [ip_network("127.0.0.0/8"), ip_network("::1/128")], allow_http=True, ports=frozenset()
)
HEADERS = {"webhook-id": "msg_1"}


class Names:
    """A resolver that answers the next of its answers, and the last one from then on."""

    def __init__(self, *answers: list[str] | Exception) -> None:
        self.answers = [*answers]
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


LOOPBACK = Names(["127.0.0.1"])


def sender(
    rules: TargetRules = ANYWHERE, names: Names = LOOPBACK, tls: ssl.SSLContext | None = None
) -> HttpSender:
    return HttpSender(rules, names, tls or ssl.create_default_context())


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def named(receiver: Receiver, name: str = "hooks.example.net") -> str:
    return receiver.url.replace("127.0.0.1", name)


async def test_a_message_arrives_as_it_is_and_for_its_host(receiver: Receiver) -> None:
    answer = await sender()(named(receiver), HEADERS, '{"a":"ä"}', 5)
    assert answer == Answer(204)
    [message] = receiver.messages
    assert (message.path, message.body) == ("/hook?x=1", '{"a":"ä"}'.encode())
    assert message.id == "msg_1"
    assert message.headers["content-type"] == "application/json"
    assert message.headers["host"] == f"hooks.example.net:{receiver.port}"


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["1.1.1.1", "127.0.0.1"],
        ["127.0.0.1", "1.1.1.1"],
        ["169.254.169.254"],
    ],
)
async def test_a_name_with_one_private_address_is_not_connected_to(
    receiver: Receiver, addresses: list[str]
) -> None:
    answer = await sender(NOWHERE, Names(addresses))(named(receiver), HEADERS, "{}", 5)
    assert answer == Answer(reason=Reason.ADDRESS_NOT_ALLOWED)
    assert receiver.messages == []


async def test_a_name_that_is_resolved_again_answers_nobody(receiver: Receiver) -> None:
    """DNS rebinding: public when it is checked, private when it is connected to."""
    # The public stand-in is refused a connection by its own machine: nothing listens there.
    public = TargetRules([ip_network("127.0.0.2/32")], allow_http=True, ports=frozenset())
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    answer = await sender(public, names)(named(receiver), HEADERS, "{}", 5)
    assert answer == Answer(reason=Reason.CONNECTION_FAILED)
    assert names.asked == ["hooks.example.net"]
    # And where it is asked anew, for the next attempt, it is checked anew.
    answer = await sender(public, names)(named(receiver), HEADERS, "{}", 5)
    assert answer == Answer(reason=Reason.ADDRESS_NOT_ALLOWED)
    assert receiver.messages == []


async def test_nobody_else_resolves_the_name(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    system = socket.getaddrinfo

    def look(host: str, *rest: Any, **options: Any) -> Any:
        asked.append(host)
        return system(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look)
    assert await sender()(named(receiver), HEADERS, "{}", 5) == Answer(204)
    assert {*asked} <= {"127.0.0.1"}


async def test_a_redirect_to_a_private_address_is_not_followed(receiver: Receiver) -> None:
    with Receiver() as private:
        receiver.statuses, receiver.location = [302], private.url
        answer = await sender()(receiver.url, HEADERS, "{}", 5)
        assert answer == Answer(302)
        assert not answer.success
        assert private.messages == []


async def test_a_proxy_of_the_environment_is_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(statuses=[200]) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert await sender()(named(receiver), HEADERS, "{}", 5) == Answer(204)
        assert proxy.messages == []


async def test_the_next_address_is_tried_where_the_first_does_not_answer(
    receiver: Receiver,
) -> None:
    names = Names(["127.0.0.9", "127.0.0.1"])
    assert await sender(names=names)(named(receiver), HEADERS, "{}", 5) == Answer(204)


async def test_who_does_not_answer_is_given_up(receiver: Receiver) -> None:
    receiver.hangs = True
    answer = await sender()(receiver.url, HEADERS, "{}", 0.3)
    assert answer == Answer(reason=Reason.TIMEOUT)


async def test_a_long_answer_is_not_read_to_its_end(receiver: Receiver) -> None:
    receiver.statuses, receiver.answer = [200], bytes(1000 * MOST_ANSWER_BYTES)
    assert await sender()(receiver.url, HEADERS, "{}", 5) == Answer(200)


@pytest.mark.parametrize("status", [200, 500])
async def test_an_answer_that_breaks_off_or_drags_on_is_what_its_status_says(
    receiver: Receiver, status: int
) -> None:
    receiver.statuses, receiver.answer, receiver.cut = [status], b"{", True
    assert await sender()(receiver.url, HEADERS, "{}", 5) == Answer(status)


@pytest.mark.parametrize("name", ["localhost", "2130706433", "0x7f.1", "127.1", "017700000001"])
async def test_the_machines_own_resolver_knows_other_words_for_loopback(
    receiver: Receiver, name: str
) -> None:
    with ThreadPoolExecutor(1) as threads:
        resolve = SystemResolver(threads)
        for rules, expected in (
            (NOWHERE, Answer(reason=Reason.ADDRESS_NOT_ALLOWED)),
            (BOTH_LOOPBACKS, Answer(204)),
        ):
            send = HttpSender(rules, resolve, ssl.create_default_context())
            assert await send(named(receiver, name), HEADERS, "{}", 5) == expected
    assert len(receiver.messages) == 1


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (OSError("no such name"), Reason.NAME_NOT_RESOLVED),
        (UnicodeError("no name at all"), Reason.NAME_NOT_RESOLVED),
        ([], Reason.NAME_NOT_RESOLVED),
        (["127.0.0.9"], Reason.CONNECTION_FAILED),
    ],
)
async def test_why_there_was_no_answer(
    receiver: Receiver, failure: list[str] | Exception, reason: "Reason.ValueType"
) -> None:
    answer = await sender(names=Names(failure))(named(receiver), HEADERS, "{}", 5)
    assert answer == Answer(reason=reason)


async def test_a_url_that_was_allowed_once_is_looked_at_again(receiver: Receiver) -> None:
    stricter = TargetRules([ip_network("127.0.0.0/8")])
    answer = await sender(stricter)(receiver.url, HEADERS, "{}", 5)
    assert answer == Answer(reason=Reason.URL_NOT_ALLOWED)


async def test_the_certificate_must_be_for_the_name(tmp_path: Path) -> None:
    with _over_tls(tmp_path) as (receiver, trust):
        right = named(receiver, "localhost")
        assert await sender(tls=trust)(right, HEADERS, "{}", 5) == Answer(204)
        wrong = named(receiver)
        for url, each in ((wrong, trust), (right, ssl.create_default_context())):
            answer = await sender(tls=each)(url, HEADERS, "{}", 5)
            assert answer == Answer(reason=Reason.TLS_FAILED)
        assert len(receiver.messages) == 1
        plain = right.replace("https:", "http:")
        answer = await sender()(plain, HEADERS, "{}", 5)
        assert answer.reason in {Reason.PROTOCOL_ERROR, Reason.CONNECTION_FAILED}


@contextmanager
def _over_tls(folder: Path) -> Iterator[tuple[Receiver, ssl.SSLContext]]:
    """A receiver for localhost, and what trusts it."""
    ca.make(folder)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "internal.pem", folder / "internal.key")
    with Receiver(tls=server) as receiver:
        yield receiver, ssl.create_default_context(cafile=str(folder / "ca.pem"))
