"""A request that is sent again makes no second key.

The secret is in the answer to the first, and kept by nobody: so the same request again is refused,
and told which key it made (docs/adr/0025).
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from f2h.access.v1.reason_pb2 import Reason

from services.auth.keys.key import KeyRequest, Keys, RequestKnown
from services.runtime.errors import ApiError

Made = TypeVar("Made")


async def once(keys: Keys, request: KeyRequest | None, make: Callable[[], Awaitable[Made]]) -> Made:
    """What `make` makes, unless the request made a key before. None has no id, and is always new.

    Raises ApiError(SECRET_GIVEN), and ApiError(REQUEST_ID_REUSED) for another request with the same
    id, both naming the key.
    """
    if request is None:
        return await make()
    await _refuse_known(keys, request)
    try:
        return await make()
    except (ApiError, RequestKnown):
        # What hinders may be what the same request did meanwhile.
        await _refuse_known(keys, request)
        raise


async def _refuse_known(keys: Keys, request: KeyRequest) -> None:
    made = await keys.made(request.caller, request.id)
    if made is None:
        return
    metadata = {"key": made.key_id}
    if made.digest != request.digest:
        text = f"The request id {request.id} was used before with other parameters."
        raise ApiError(Reason.REQUEST_ID_REUSED, text, metadata=metadata)
    text = (
        f"This request made key {made.key_id} before. The secret was in the answer to that, and is"
        " not kept: rotate the key for another, or revoke it."
    )
    raise ApiError(Reason.SECRET_GIVEN, text, metadata=metadata)
