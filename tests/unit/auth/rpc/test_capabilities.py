import grpc
from f2h.auth.v1 import capability_pb2, capability_pb2_grpc

from services.runtime.access import CATALOGUE


def test_the_catalogue_is_shown_to_anybody_in_the_order_of_the_form(
    grpc_channel: grpc.Channel,
) -> None:
    stub = capability_pb2_grpc.CapabilityServiceStub(grpc_channel)
    answer = stub.ListCapabilities(capability_pb2.ListCapabilitiesRequest())
    assert [*answer.capabilities] == [*CATALOGUE.values()]
