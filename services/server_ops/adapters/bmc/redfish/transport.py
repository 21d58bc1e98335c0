"""sushy's HTTP, held so that a request leaves once, to the BMC itself, and ends in time.

sushy's own sends a request up to three times when no answer came, a reset too, and logs in again by
itself; requests follows redirects, takes proxies and passwords from the environment, and waits for
ever for an answer that comes byte by byte.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from sushy import connector, exceptions

_CONNECT_SHARE = 0.5
"""Of the time that is left, what connecting may take."""

_BODY_BYTES = 4 * 1024 * 1024
_PIECE_BYTES = 16 * 1024

_HEADERS = {"OData-Version": "4.0", "Accept-Encoding": "identity"}

# They log addresses, headers and bodies.
for _name in ("sushy", "urllib3", "requests"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

_moment = threading.local()


class NotSent(Exception):  # noqa: N818 - it says what happened
    """There was no connection, so the request did not leave."""


@contextmanager
def moment(until: float) -> Iterator[None]:
    """Inside, in this thread, no request leaves later than this, by the monotonic clock.

    A thread may begin late: what was given up meanwhile must not be done after all.
    """
    _moment.until = until
    yield


class RedfishConnector(connector.Connector):  # type: ignore[misc]
    """Sends each request once."""

    def __init__(self, url: str, trust: bool | str) -> None:
        """`url` is the BMC's; see RedfishBmc for `trust`."""
        super().__init__(url, verify=trust)
        self._session.trust_env = False
        self._session.max_redirects = 0

    def _op(
        self,
        method: str,
        path: str = "",
        data: Any = None,
        headers: dict[str, str] | None = None,
        **_named: Any,
    ) -> Any:
        url = urljoin(self._url, path)
        if urlsplit(url)[:2] != urlsplit(self._url)[:2]:
            # A BMC names where things are. Elsewhere our login is nobody's business.
            raise exceptions.ConnectionError(url="", error="")
        left = _moment.until - time.monotonic()
        if left <= 0:
            raise NotSent
        try:
            response = self._session.request(
                method,
                url,
                json=data,
                headers={**_HEADERS, **(headers or {})},
                verify=self._verify,
                timeout=(left * _CONNECT_SHARE, left),
                allow_redirects=False,
                stream=True,
            )
        except (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError):
            raise NotSent from None
        except requests.exceptions.ConnectionError as error:
            if _refused(error):
                raise NotSent from None
            raise exceptions.ConnectionError(url="", error="") from None
        except requests.exceptions.RequestException:
            raise exceptions.ConnectionError(url="", error="") from None
        with response:
            _read(response)
        if response.is_redirect:
            raise exceptions.ConnectionError(url="", error="")
        exceptions.raise_for_response(method, "", response)
        return response


def _refused(error: requests.exceptions.ConnectionError) -> bool:
    """Whether there never was a connection."""
    cause: Any = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    return type(reason).__name__ == "NewConnectionError"


def _read(response: requests.Response) -> None:
    """Reads the body, which is bounded in size and time."""
    body = b""
    try:
        for piece in response.iter_content(_PIECE_BYTES):
            body += piece
            if len(body) > _BODY_BYTES or time.monotonic() > _moment.until:
                raise exceptions.ConnectionError(url="", error="")
    except requests.exceptions.RequestException:
        raise exceptions.ConnectionError(url="", error="") from None
    response._content = body  # noqa: SLF001 - where `json` looks for it
