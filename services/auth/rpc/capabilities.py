"""f2h.auth.v1.CapabilityService."""

from typing import Any

from f2h.auth.v1 import capability_pb2, capability_pb2_grpc

from services.runtime.access import CATALOGUE


class CapabilityServicer(capability_pb2_grpc.CapabilityServiceServicer):
    """Shows the catalogue."""

    async def ListCapabilities(
        self, _request: capability_pb2.ListCapabilitiesRequest, _context: Any
    ) -> capability_pb2.ListCapabilitiesResponse:
        """The catalogue, in the order of the form."""
        return capability_pb2.ListCapabilitiesResponse(capabilities=CATALOGUE.values())
