"""The address that a call names, if it is one of a server that the caller may act on."""

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.call import current_caller
from services.runtime.errors import ApiError
from services.server_ops.inventory.server import canonical_ip
from services.server_ops.ips.ip import Ip, Ips


async def granted_ip(ips: Ips, text: str) -> Ip:
    """The address, resolved to its server now. Raises ApiError(SERVER_NOT_GRANTED)."""
    ip = canonical_ip(text)
    found = await ips.find(ip)
    caller = current_caller()
    if found is None or found.account != caller.account or not caller.may_act_on(found.hostname):
        raise ApiError(
            Reason.SERVER_NOT_GRANTED,
            f"This caller may not act on {ip}: no server that is granted to it has this address.",
            metadata={"ip": ip},
        )
    return found
