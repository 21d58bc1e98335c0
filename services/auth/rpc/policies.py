"""f2h.auth.v1.PolicyService."""

import hmac
from typing import Any

from f2h.access.v1 import principal_pb2
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1 import policy_pb2, policy_pb2_grpc

from services.auth.keys.key import Keys
from services.runtime.call import current_caller
from services.runtime.errors import ApiError


class PolicyServicer(policy_pb2_grpc.PolicyServiceServicer):
    """Shows a policy to a service that was called with a principal that names it."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def GetPolicy(
        self, request: policy_pb2.GetPolicyRequest, _context: Any
    ) -> principal_pb2.Policy:
        """The policy; the same refusal for one that is not named as for one that is not there."""
        digest = bytes.fromhex(request.digest)
        named = hmac.compare_digest(current_caller().principal.policy_digest, digest)
        content = await self._keys.policy(digest) if named else None
        if content is None:
            raise ApiError(Reason.NOT_FOUND, "The principal names no such policy.")
        return principal_pb2.Policy.FromString(content)
