"""Switches by SNMP: version 2c with a community, or 3 with a user."""

from typing import Any

from pysnmp.error import PySnmpError
from pysnmp.hlapi.v3arch.asyncio import (
    CommunityData,
    ContextData,
    ObjectIdentity,
    ObjectType,
    SnmpEngine,
    Udp6TransportTarget,
    UdpTransportTarget,
    UsmUserData,
    get_cmd,
    usmAesCfb128Protocol,
    usmHMAC192SHA256AuthProtocol,
)

from services.server_ops.monitoring.traffic import Counters, SwitchError
from services.server_ops.monitoring.uplink import SnmpLogin, Uplink

IF_HC_IN_OCTETS = "1.3.6.1.2.1.31.1.1.1.6"
IF_HC_OUT_OCTETS = "1.3.6.1.2.1.31.1.1.1.10"
"""Columns of ifXTable, RFC 2863."""

ANSWER_SECONDS = 2.0
RETRIES = 2
"""A reading may be asked for again."""

_VERSION_2C = 1
"""RFC 3411 section 5, SnmpMessageProcessingModel."""


class SnmpSwitches:
    """Implements Switches."""

    def __init__(self) -> None:
        self._engine = SnmpEngine()

    async def counters(self, uplink: Uplink) -> Counters:
        """See Switches."""
        transport = Udp6TransportTarget if ":" in uplink.switch_address else UdpTransportTarget
        asked = [
            ObjectType(ObjectIdentity(f"{column}.{uplink.interface}"))
            for column in (IF_HC_IN_OCTETS, IF_HC_OUT_OCTETS)
        ]
        try:
            target = await transport.create(
                (uplink.switch_address, uplink.switch_port), ANSWER_SECONDS, RETRIES
            )
            failure, status, _, answers = await get_cmd(
                self._engine, _login(uplink.login), target, ContextData(), *asked, lookupMib=False
            )
            if failure or status:
                raise SwitchError("it did not answer, or refused")
            received, sent = (int(value) for _, value in answers)
        except (PySnmpError, OSError, ValueError, TypeError):
            # A column that the interface does not have is answered by no number.
            raise SwitchError("it has no such interface, or cannot be reached") from None
        return Counters(received, sent)

    def close(self) -> None:
        """Closes its sockets."""
        self._engine.close_dispatcher()


def _login(login: SnmpLogin) -> Any:
    if login.community:
        return CommunityData(login.community, mpModel=_VERSION_2C)
    return UsmUserData(
        login.user,
        login.auth_passphrase,
        login.privacy_passphrase,
        authProtocol=usmHMAC192SHA256AuthProtocol,
        privProtocol=usmAesCfb128Protocol,
    )
