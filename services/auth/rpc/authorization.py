"""envoy.service.auth.v3.Authorization: what the edge asks before it forwards a call."""

import base64
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import structlog
from f2h.access.v1.reason_pb2 import Reason
from f2h.edge.v1 import authorization_pb2, authorization_pb2_grpc
from google.rpc import status_pb2
from sqlalchemy.exc import SQLAlchemyError

from services.auth.audit.refusals import Refusals
from services.auth.check.check import Attempt, Check, Passage
from services.auth.sessions.cookie import session_text
from services.runtime import tracing
from services.runtime.call import CLIENT
from services.runtime.errors import ApiError, retry_after
from services.runtime.principal import HEADER

API_KEY = "x-api-key"

_CREDENTIALS = (API_KEY, "authorization", "cookie")
"""Go no further than this."""

_PRINTABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
"""What a grpc-message holds as it is; the rest is percent-encoded (gRPC over HTTP/2)."""

log = structlog.get_logger()


class AuthorizationServicer(authorization_pb2_grpc.AuthorizationServicer):
    """Answers the edge."""

    def __init__(
        self, check: Check, refusals: Refusals, checked: Callable[[str], None], *, secure: bool
    ) -> None:
        """`refusals` writes down what was refused; `checked` is told the reason of each refusal.

        It is told an empty one of each call that passes. `secure` is whether browsers use TLS.
        """
        self._check = check
        self._checked = checked
        self._refusals = refusals
        self._secure = secure

    async def Check(
        self, request: authorization_pb2.CheckRequest, _context: Any
    ) -> authorization_pb2.CheckResponse:
        """Lets a call pass with a principal, or refuses it. Fails closed."""
        attributes = request.attributes
        http = attributes.request.http
        attempt = Attempt(
            path=http.path,
            listener=attributes.context_extensions.get("listener", ""),
            key=http.headers.get(API_KEY, ""),
            address=http.headers.get(CLIENT, ""),
            session=session_text(http.headers.get("cookie", ""), secure=self._secure),
            certificate=attributes.source.principal,
            host=http.host,
            origin=http.headers.get("origin", ""),
            request=http.headers.get("x-request-id", ""),
        )
        try:
            passed = _passed(await self._check(attempt))
        except ApiError as error:
            await self._refusals.record(attempt, error)
            return self._denied(error)
        except SQLAlchemyError as error:
            log.error("database unavailable", rpc=http.path, cause=type(error).__name__)
            text = "Keys cannot be checked at this moment."
            return self._denied(
                ApiError(Reason.DEPENDENCY_UNAVAILABLE, text, retry_after_seconds=1)
            )
        self._checked("")
        return passed

    def _denied(self, error: ApiError) -> authorization_pb2.CheckResponse:
        reason = Reason.Name(error.reason)
        self._checked(reason)
        tracing.note("f2h.reason", reason)
        return _denied(error)


@lru_cache(maxsize=4096)
def _passed(passage: Passage) -> authorization_pb2.CheckResponse:
    """One answer for all calls with one principal; nobody changes it."""
    headers = {HEADER: passage.principal} if passage.principal else {}
    answer = authorization_pb2.CheckResponse(
        status=status_pb2.Status(),
        ok_response=authorization_pb2.OkHttpResponse(
            headers=_options(headers), headers_to_remove=[*_CREDENTIALS]
        ),
    )
    if passage.subject:
        answer.dynamic_metadata.update({"subject": passage.subject})
    if passage.capability:
        answer.dynamic_metadata.update({"capability": passage.capability})
    return answer


def _denied(error: ApiError) -> authorization_pb2.CheckResponse:
    """A refusal in the one form that serves both kinds of caller: a gRPC answer without a body.

    The edge's transcoder makes JSON of it for REST; a native gRPC caller gets it as it is.
    """
    status = error.status(tracing.request_id())
    details = base64.b64encode(status.SerializeToString()).decode().rstrip("=")
    headers = {
        "content-type": "application/grpc",
        "grpc-status": str(status.code),
        "grpc-message": quote(status.message, safe=_PRINTABLE),
        "grpc-status-details-bin": details,
        **dict(retry_after(error)),
    }
    return authorization_pb2.CheckResponse(
        status=status_pb2.Status(code=status.code),
        denied_response=authorization_pb2.DeniedHttpResponse(
            status=authorization_pb2.HttpStatus(code=403),  # overruled by the gRPC status
            headers=_options(headers),
        ),
    )


def _options(headers: Mapping[str, str]) -> list[authorization_pb2.HeaderValueOption]:
    return [
        authorization_pb2.HeaderValueOption(
            header=authorization_pb2.HeaderValue(key=name, value=value),
            append_action=authorization_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
        )
        for name, value in headers.items()
    ]
