"""Every RPC of the contract, callable as REST and as gRPC, generated from the descriptor."""

import importlib
import re
import ssl
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
from f2h.access.v1 import rule_pb2
from google.api import field_behavior_pb2
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from tests.integration.conftest import IN_THE_CLEAR
from tools import contract, gen

for module in sorted((gen.GEN / "f2h").rglob("*_pb2.py")):
    name = ".".join(module.relative_to(gen.GEN).with_suffix("").parts)
    importlib.import_module(name)

RPCS = [*contract.rpcs(gen.read())]

Audience = rule_pb2.AccessRule.Audience

SAMPLES: dict[str, Any] = {
    "name": "an-image",
    "os": "Debian",
    "version": "12",
    "image": "an-image",
    "template": "a-template",
    "ptr": "mail.example.net",
    "cidr": "203.0.113.0/24",
    "address": "192.0.2.1",
    "user": "root",
    "host_key": f"ssh-ed25519 {'A' * 68}",
    "switch_address": "192.0.2.2",
    "interface": 7,
    "confirm_hostname": "ns1.example.net",
    "document": "preseed.cfg",
    "kind": "IMAGE_KIND_RESCUE",
    "kernel": {"path": "an-image/kernel", "sha256": "0" * 64},
    "initrd": {"path": "an-image/initrd", "sha256": "0" * 64},
    "boot_type": "HARDDISK",
    "token": "x" * 43,
    "report_token": "0" * 64,
    "event": "ALIVE",
    "hostname": "ns1.example.net",
    "id": "00000000-0000-4000-8000-000000000000",
    "ip": "203.0.113.9",
    "blocked_ip": "198.51.100.7",
    "region": "EU",
    "networks": ["203.0.113.0/24"],
    "reason": "Spam was seen.",
    "account": "acme",
    "ips": ["203.0.113.99"],
    "datacenter": "EU-WEST-F2H",
    "mac": "0c:c4:7a:00:00:01",
    "bmc_address": "127.0.0.1",
    "bmc_username": "admin",
    "bmc_password": "x",
    "capabilities": ["server.details"],
    "digest": "0" * 64,
    "email": "somebody@example.net",
    "password": "correct horse battery",
    "new_password": "battery horse correct",
    "code": "123456",
    "attempt": "attempt",
    "state": "state",
    "role": "MEMBER",
    "method": "/f2h.server_ops.v1.RebootService/RebootServer",
    "outcome": "ACCEPTED",
    "action": "ON",
    "url": "https://hooks.example.net/f2h",
    "event_types": ["OPERATION_SUCCEEDED"],
}
"""A valid value for every field that some request needs."""


@dataclass(frozen=True)
class Refusal:
    """How a call was refused, in the words that REST and gRPC share."""

    code: str
    reason: str


def service_of(rpc: contract.Rpc) -> str:
    """The service that answers: "auth", "server_ops" or "security"."""
    return rpc.service.split(".")[1]


def request(rpc: contract.Rpc, **values: Any) -> Message:
    """A valid request of the RPC, with these values where it has such fields."""
    descriptor = descriptor_pool.Default().FindMessageTypeByName(rpc.method.input_type[1:])
    message = message_factory.GetMessageClass(descriptor)()
    needed = set(_path_fields(rpc))
    for field in descriptor.fields:
        behaviors = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        if field_behavior_pb2.REQUIRED in behaviors:
            needed.add(field.name)
    fields = {name: SAMPLES[name] for name in needed}
    if rpc.service in {"f2h.auth.v1.KeyService", "f2h.auth.v1.UserService"} and "id" in fields:
        fields["id"] = "0" * 16
    if rpc.service == "f2h.auth.v1.AccountService" and "id" in fields:
        fields["id"] = "acme"
    if rpc.service == "f2h.auth.v1.AuditService" and "attempt" in fields:
        fields["attempt"] = "1"
    fields |= {name: value for name, value in values.items() if name in descriptor.fields_by_name}
    if "confirm_hostname" in fields:
        fields["confirm_hostname"] = fields["hostname"]
    json_format.ParseDict(fields, message)
    return message


def as_rest(
    rpc: contract.Rpc,
    base: str,
    message: Message,
    headers: dict[str, str],
    trust: ssl.SSLContext = IN_THE_CLEAR,
) -> Refusal | None:
    """Calls as REST; None when it was not refused. `trust` is for a base with TLS."""
    assert rpc.http is not None
    verb, path = rpc.http
    fields = json_format.MessageToDict(message, preserving_proto_field_name=True)
    for name in _path_fields(rpc):
        path = path.replace(f"{{{name}}}", str(fields.pop(name)))
    body = {"json": fields} if verb in {"POST", "PUT", "PATCH"} else {"params": fields}
    answer = httpx.request(
        verb,
        base + path,
        headers=headers,
        timeout=20,
        verify=trust,
        **body,  # type: ignore[arg-type]
    )
    if answer.is_success:
        return None
    assert answer.headers["content-type"].startswith("application/json"), answer.text
    status = answer.json()
    info = next(each for each in status["details"] if each["@type"].endswith("ErrorInfo"))
    assert info["domain"] == "f2hcloud"
    return Refusal(_code(status["code"]), info["reason"])


def as_grpc(
    rpc: contract.Rpc, channel: grpc.Channel, message: Message, headers: dict[str, str]
) -> Refusal | None:
    """Calls as gRPC; None when it was not refused."""
    call = channel.unary_unary(
        rpc.path,
        request_serializer=lambda each: each.SerializeToString(),
        response_deserializer=lambda each: each,
    )
    metadata = tuple((name.lower(), value) for name, value in headers.items())
    try:
        call(message, metadata=metadata, timeout=20)
    except grpc.RpcError as error:
        return Refusal(error.code().name, reason_of(error))
    return None


def reason_of(error: grpc.RpcError) -> str:
    """The reason in the ErrorInfo of a refused gRPC call."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # it is a Call too
    assert status is not None, str(error)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return str(info.reason)


def spoofed_headers() -> dict[str, str]:
    """What a caller might send to look like somebody else."""
    return {"X-Forwarded-For": "203.0.113.4", "X-F2H-Principal": "bm90IGEgcHJpbmNpcGFs"}


def _path_fields(rpc: contract.Rpc) -> list[str]:
    return re.findall(r"{(\w+)}", rpc.http[1]) if rpc.http else []


def _code(number: int) -> str:
    return next(code.name for code in grpc.StatusCode if code.value[0] == number)
