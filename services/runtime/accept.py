"""Who connects is one of us, and has business with what it calls.

A principal says for whom a call is made, and whoever holds one can show it again. So a service that
is broken into could use the principals of those who call it elsewhere, if its certificate opened
every RPC: it opens those that it has to call.
"""

from collections.abc import Mapping
from typing import Any

import grpc.aio
from f2h.access.v1.reason_pb2 import Reason

from services.runtime.access import Audience, Rule
from services.runtime.certificates import EDGE, service_uri
from services.runtime.errors import ApiError
from services.runtime.interceptors import Handler

OURS_ALONE = frozenset({Audience.SERVICE, Audience.FORWARDED})
"""Whom an RPC is for that passes no listener of the edge."""

_SPIFFE_ID = "peer_spiffe_id"
"""What gRPC tells of a certificate that was verified: its one URI, if that is a SPIFFE-ID."""


class Accept:
    """The certificate is that of a part of ours that calls this RPC; nobody else gets in."""

    def __init__(
        self,
        rules: Mapping[str, Rule],
        services: Mapping[str, frozenset[str]],
        *,
        open_paths: frozenset[str] = frozenset(),
        tls: bool,
    ) -> None:
        """`services` has for each service that calls this one the paths of the RPCs that it calls.

        The edge calls the others, and `open_paths`. Without `tls` nobody shows a certificate, and
        everybody on this machine gets in, to where a principal is asked for.
        """
        self._rules = rules
        self._services = services
        self._open_paths = open_paths
        self._tls = tls

    def __call__(self, path: str, handler: Handler) -> Handler:
        """Wraps the handler of the RPC with this path."""
        if not self._tls:
            return handler
        callers = self.callers(path)

        async def accepted(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            shown = context.auth_context().get(_SPIFFE_ID, ())
            if callers.isdisjoint(each.decode() for each in shown):
                text = "Who connects here has no business with this call; it is made at the edge."
                raise ApiError(Reason.PRINCIPAL_INVALID, text)
            return await handler(request, context)

        return accepted

    def callers(self, path: str) -> frozenset[str]:
        """The URIs of those who may call the RPC with this path."""
        rule = self._rules.get(path)
        routed = path in self._open_paths or (rule is not None and rule.audiences - OURS_ALONE)
        services = {service_uri(name) for name, paths in self._services.items() if path in paths}
        return frozenset({*services, *((EDGE,) if routed else ())})
