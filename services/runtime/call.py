"""The call that is being answered, for the code that answers it."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from f2h.access.v1.principal_pb2 import Principal
from f2h.access.v1.reason_pb2 import Reason

from services.runtime.access import Audience
from services.runtime.errors import ApiError
from services.runtime.policy import Policy

CLIENT = "x-f2h-client"
"""The client's address. Set by the edge, which removes what a client wrote there."""

REQUEST_ID = "x-request-id"
"""Set by the edge on every call: the id of its trace."""


@dataclass(frozen=True)
class Caller:
    """Who a call is made for, verified."""

    principal: Principal
    header: str
    """The principal as it came, to be forwarded to the services that this one asks."""
    policy: Policy | None
    """What the caller's key may do; None for a caller that has no key."""

    @property
    def account(self) -> str:
        """The customer account that the caller acts for; empty for NOC and services."""
        return self.principal.account

    @property
    def kind(self) -> str:
        """What kind of caller it is, as AccessRule.Audience names it."""
        return Audience.Name(self.principal.audience)

    @property
    def servers(self) -> frozenset[str] | None:
        """The hostnames that the caller may act on; None: all of the account's."""
        if self.principal.audience == Audience.SESSION:
            return None
        return self.policy.servers if self.policy else frozenset()

    def may(self, capability: str) -> bool:
        """Whether the caller's key holds the capability, or a person calls, whom the role bounds.

        For a call whose rule cannot say beforehand which capability it needs.
        """
        if self.principal.audience == Audience.SESSION:
            return True
        return self.policy is not None and capability in self.policy.capabilities

    def may_act_on(self, server: str) -> bool:
        """Whether the caller's key names this server, or is a person who acts for the account.

        Whose the server is, is another question: the use case asks it of the inventory.
        """
        return self.servers is None or server in self.servers


@dataclass(frozen=True)
class Call:
    """One call."""

    caller: Caller | None
    """None when the RPC is public."""
    metadata: Mapping[str, str | bytes]
    """The call's gRPC metadata, names in lower case."""

    @property
    def address(self) -> str:
        """The address that the call came from, as the edge found it; empty past the edge."""
        return str(self.metadata.get(CLIENT, ""))

    @property
    def request(self) -> str:
        """The edge's id of the request."""
        return str(self.metadata.get(REQUEST_ID, ""))


_current: ContextVar[Call] = ContextVar("call")


def set_call(call: Call) -> None:
    """Says what the present task answers."""
    _current.set(call)


def current_call() -> Call:
    """The call that the present task answers."""
    return _current.get()


def current_caller() -> Caller:
    """Who the present call is made for. Raises ApiError(PRINCIPAL_INVALID) when it is nobody."""
    caller = _current.get().caller
    if caller is None:
        raise ApiError(Reason.PRINCIPAL_INVALID, "This call needs a principal and has none.")
    return caller


def server_not_granted(server: str) -> ApiError:
    """The one refusal for a server that is unknown, not granted, or another account's."""
    return ApiError(
        Reason.SERVER_NOT_GRANTED,
        f"This caller may not act on {server}: no such server is granted to it.",
        metadata={"server": server},
    )
