"""Messages over HTTP: one POST, to an address that was checked, and no redirect followed."""

import asyncio
import ssl
from contextlib import suppress

import httpcore
import structlog

from services.server_ops.adapters.webhooks.network import (
    AddressNotAllowed,
    CheckedNetwork,
    NameNotResolved,
    Resolve,
)
from services.server_ops.webhooks.answer import Answer, Reason
from services.server_ops.webhooks.target import Target, TargetNotAllowed, TargetRules

MOST_ANSWER_BYTES = 64 * 1024

CONNECT_SECONDS = 5.0
"""How long one of a name's addresses may take to answer before the next one is tried."""

DRAIN_SECONDS = 1.0
"""How long the rest of an answer is read."""

USER_AGENT = "f2hcloud-webhooks/1"

log = structlog.get_logger()


class HttpSender:
    """Implements Sender. Proxies that the environment names are not used."""

    def __init__(self, rules: TargetRules, resolve: Resolve, tls: ssl.SSLContext) -> None:
        """`tls` says which authorities are trusted."""
        self._rules = rules
        self._network = CheckedNetwork(resolve, rules.allows)
        self._tls = tls

    async def __call__(
        self, url: str, headers: dict[str, str], body: str, seconds: float
    ) -> Answer:
        """See Sender."""
        try:
            target = self._rules.target(url)  # the operator may have become stricter
            async with asyncio.timeout(seconds):
                return Answer(await self._post(target, headers, body))
        except Exception as error:  # noqa: BLE001 - whatever it is, the attempt is over
            return Answer(reason=_reason(error))

    async def _post(self, target: Target, headers: dict[str, str], body: str) -> int:
        """The status of the answer, of which nothing else is kept."""
        url = httpcore.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.path.encode(),
        )
        sent = {"content-type": "application/json", "user-agent": USER_AGENT, **headers}
        # A connection of its own: none is kept that was checked at another time.
        async with (
            httpcore.AsyncConnectionPool(
                ssl_context=self._tls, network_backend=self._network, max_keepalive_connections=0
            ) as pool,
            pool.stream(
                "POST",
                url,
                headers=[*sent.items()],
                content=body.encode(),
                extensions={"timeout": {"connect": CONNECT_SECONDS}},
            ) as response,
        ):
            # The status has decided; what follows may be broken or slow, and changes nothing.
            with suppress(httpcore.NetworkError, httpcore.ProtocolError, TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    await _drain(response)
            return response.status


async def _drain(response: httpcore.Response) -> None:
    """Reads the answer, so that the receiver ends it in peace; MOST_ANSWER_BYTES at most."""
    read = 0
    async for chunk in response.aiter_stream():
        read += len(chunk)
        if read >= MOST_ANSWER_BYTES:
            return


def _reason(error: BaseException) -> "Reason.ValueType":
    """Why there was no answer, by what was raised."""
    if isinstance(error.__cause__ or error.__context__, ssl.SSLError):
        return Reason.TLS_FAILED
    for kinds, reason in _REASONS:
        if isinstance(error, kinds):
            return reason
    # Counted as an attempt too: what is never settled would be sent for ever.
    log.error("delivery failed in a way that is not known", error=type(error).__qualname__)
    return Reason.CONNECTION_FAILED


_REASONS: "tuple[tuple[tuple[type[Exception], ...], Reason.ValueType], ...]" = (
    ((TargetNotAllowed,), Reason.URL_NOT_ALLOWED),
    ((AddressNotAllowed,), Reason.ADDRESS_NOT_ALLOWED),
    ((NameNotResolved,), Reason.NAME_NOT_RESOLVED),
    ((TimeoutError, httpcore.TimeoutException), Reason.TIMEOUT),
    ((httpcore.ProtocolError,), Reason.PROTOCOL_ERROR),
    ((httpcore.NetworkError, OSError), Reason.CONNECTION_FAILED),
)
