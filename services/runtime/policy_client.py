"""Fetches policies from auth over gRPC."""

import grpc.aio
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1 import policy_pb2, policy_pb2_grpc

from services.runtime.errors import ApiError
from services.runtime.policy import Policy
from services.runtime.principal import HEADER

DEADLINE_SECONDS = 2.0


class PolicyClient:
    """Asks auth for a policy, showing it the principal that names it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = policy_pb2_grpc.PolicyServiceStub(channel)

    async def fetch(self, digest: bytes, principal_header: str) -> Policy:
        """The policy with this digest. Raises ApiError(DEPENDENCY_UNAVAILABLE)."""
        try:
            answer = await self._stub.GetPolicy(
                policy_pb2.GetPolicyRequest(digest=digest.hex()),
                metadata=((HEADER, principal_header),),
                timeout=DEADLINE_SECONDS,
            )
        except grpc.aio.AioRpcError:
            raise _unavailable() from None
        policy = Policy.decode(answer)
        if policy.digest() != digest:
            raise _unavailable()
        return policy


def _unavailable() -> ApiError:
    return ApiError(
        Reason.DEPENDENCY_UNAVAILABLE,
        "The service that knows what this key may do does not answer.",
        retry_after_seconds=1,
    )
