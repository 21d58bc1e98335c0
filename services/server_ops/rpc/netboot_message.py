"""What a server boots, as the message that callers get."""

from f2h.server_ops.v1 import server_pb2

from services.runtime import timestamps
from services.server_ops.netboot.netboot import Netboot


def pack_netboot(netboot: Netboot) -> server_pb2.Netboot:
    """The message of what a server boots."""
    last = netboot.last_boot
    return server_pb2.Netboot(
        boot_type=server_pb2.Netboot.BootType.Value(netboot.boot_type),
        once=netboot.once,
        image=netboot.image,
        kernel=netboot.kernel,
        last_boot_type=server_pb2.Netboot.BootType.Value(last.boot_type)
        if last
        else server_pb2.Netboot.BOOT_TYPE_UNSPECIFIED,
        last_boot_time=timestamps.pack(last.time if last else None),
    )
