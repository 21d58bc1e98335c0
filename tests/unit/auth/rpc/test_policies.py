from typing import Any

import grpc
import pytest
from f2h.auth.v1 import key_pb2, key_pb2_grpc, policy_pb2, policy_pb2_grpc
from google.rpc import code_pb2

from services.runtime.access import Audience
from services.runtime.policy import Policy
from tests.unit.serving import Metadata, fields_of, info_of, signed, status_of

POLICY = Policy(["server.reboot"], ["ns1.example.net"])
OTHER = Policy(["server.reboot"], ["ns2.example.net"])


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[policy_pb2_grpc.PolicyServiceStub]:
    return policy_pb2_grpc.PolicyServiceStub


@pytest.fixture(scope="module", autouse=True)
def kept_policies(grpc_channel: grpc.Channel) -> None:
    """There are keys with both policies."""
    stub = key_pb2_grpc.KeyServiceStub(grpc_channel)
    for policy in (POLICY, OTHER):
        form = key_pb2.CreateKeyRequest(
            account="demo", servers=policy.servers, capabilities=policy.capabilities
        )
        stub.CreateKey(form, metadata=signed(audience=Audience.NOC))


def named(policy: Policy, audience: str = "CUSTOMER") -> Metadata:
    return signed(audience=Audience.Value(audience), account="demo", policy_digest=policy.digest())


def refusal(stub: Any, digest: str, metadata: Metadata) -> Any:
    with pytest.raises(grpc.RpcError) as refused:
        stub.GetPolicy(policy_pb2.GetPolicyRequest(digest=digest), metadata=metadata)
    return status_of(refused.value)


def test_the_policy_that_the_principal_names_is_shown(
    grpc_stub: policy_pb2_grpc.PolicyServiceStub,
) -> None:
    request = policy_pb2.GetPolicyRequest(digest=POLICY.digest().hex())
    answer = grpc_stub.GetPolicy(request, metadata=named(POLICY))
    assert answer.SerializeToString(deterministic=True) == POLICY.encode()


def test_another_policy_looks_like_one_that_is_not_there(
    grpc_stub: policy_pb2_grpc.PolicyServiceStub,
) -> None:
    missing = Policy([], ["ns9.example.net"])
    refusals = [
        refusal(grpc_stub, OTHER.digest().hex(), named(POLICY)),
        refusal(grpc_stub, missing.digest().hex(), named(POLICY)),
        refusal(grpc_stub, missing.digest().hex(), named(missing)),
        refusal(grpc_stub, POLICY.digest().hex(), signed(audience=Audience.NOC)),
    ]
    assert {status.code for status in refusals} == {code_pb2.NOT_FOUND}
    for status in refusals:
        del status.details[-1]  # the request's own id
    assert len({status.SerializeToString() for status in refusals}) == 1


def test_a_call_without_a_principal_is_refused(
    grpc_stub: policy_pb2_grpc.PolicyServiceStub,
) -> None:
    status = refusal(grpc_stub, POLICY.digest().hex(), ())
    assert info_of(status).reason == "PRINCIPAL_INVALID"


@pytest.mark.parametrize("digest", ["", "0" * 63, "G" * 64, "A" * 64])
def test_what_is_no_digest_is_refused(
    grpc_stub: policy_pb2_grpc.PolicyServiceStub, digest: str
) -> None:
    assert fields_of(refusal(grpc_stub, digest, named(POLICY))) == ["digest"]
