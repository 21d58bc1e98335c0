"""f2h.server_ops.v1.PtrService."""

from typing import Any

from f2h.server_ops.v1 import ptr_pb2, ptr_pb2_grpc
from google.protobuf import empty_pb2

from services.server_ops.ips.ip import Ips
from services.server_ops.ptr.change import ConfirmedPtr, Ptrs
from services.server_ops.rpc.granted_ip import granted_ip


class PtrServicer(ptr_pb2_grpc.PtrServiceServicer):
    """Shows and changes PTR records."""

    def __init__(self, ips: Ips, ptrs: Ptrs) -> None:
        self._ips = ips
        self._ptrs = ptrs

    async def GetPtr(self, request: ptr_pb2.GetPtrRequest, _context: Any) -> ptr_pb2.Ptr:
        """The record."""
        found = await granted_ip(self._ips, request.ip)
        return _pack(found.ip, await self._ptrs.get(found.ip))

    async def SetPtr(self, request: ptr_pb2.SetPtrRequest, _context: Any) -> ptr_pb2.Ptr:
        """The record as it was read back."""
        found = await granted_ip(self._ips, request.ip)
        return _pack(found.ip, await self._ptrs.set(found.ip, request.ptr))

    async def DeletePtr(self, request: ptr_pb2.DeletePtrRequest, _context: Any) -> empty_pb2.Empty:
        """Removes the record."""
        found = await granted_ip(self._ips, request.ip)
        await self._ptrs.delete(found.ip)
        return empty_pb2.Empty()


def _pack(ip: str, confirmed: ConfirmedPtr) -> ptr_pb2.Ptr:
    ptr = confirmed.ptr
    return ptr_pb2.Ptr(
        ip=ip,
        ptr=ptr.target,
        ttl_seconds=ptr.ttl_seconds,
        record_name=ptr.record_name,
        forward=ptr_pb2.Ptr.Forward.Value(confirmed.forward),
    )
