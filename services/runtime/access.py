"""The access rules and the capability catalogue, read from the generated protos."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from f2h.access.v1 import capability_pb2, rule_pb2
from f2h.access.v1.reason_pb2 import Reason
from google.api import annotations_pb2
from google.protobuf import descriptor

from services.runtime.errors import ApiError

Audience = rule_pb2.AccessRule.Audience
Role = rule_pb2.AccessRule.Role

CATALOGUE: Mapping[str, capability_pb2.CapabilityInfo] = {
    info.id: info
    for info in (
        value.GetOptions().Extensions[capability_pb2.capability]
        for value in capability_pb2.Capability.DESCRIPTOR.values
        if value.number != capability_pb2.CAPABILITY_UNSPECIFIED
    )
}
"""Every capability by its id, in the order of the form."""


@dataclass(frozen=True)
class Rule:
    """The access rule of one RPC, see protos/f2h/access/v1/rule.proto."""

    audiences: "frozenset[Audience.ValueType]"
    capability: str
    """The capability's id; empty when none is needed."""
    server_field: str
    """The request field that holds a hostname; empty when there is none."""
    resource_field: str = ""
    """The request field that names what the call acts on, of whatever kind; empty: none does."""
    role: "Role.ValueType" = rule_pb2.AccessRule.ROLE_UNSPECIFIED
    """The least role of a person who calls."""
    any_key: bool = False
    """Whether a key needs no capability."""
    mutates: bool = True
    """Whether the call changes something: its REST form is no GET."""
    recorded: bool = False
    """Whether it is written into the audit trail although it changes nothing."""
    details: frozenset[str] = frozenset()
    """The request fields that are safe to be written into the audit trail."""

    @property
    def audited(self) -> bool:
        """Whether it is written into the audit trail."""
        return self.mutates or self.recorded


def rules(*modules: ModuleType) -> dict[str, Rule]:
    """The rules of every RPC in generated `_pb2` modules, by path "/package.Service/Method"."""
    methods = [
        method
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]
    made = {
        f"/{method.containing_service.full_name}/{method.name}": rule_of(method)
        for method in methods
    }
    for method in methods:
        if public := method.GetOptions().Extensions[rule_pb2.rule].stands_for:
            made[public] = rule_of(method)
    return made


def audience_not_allowed(allowed: "frozenset[Audience.ValueType]") -> ApiError:
    """The refusal for a caller of a kind that is not allowed."""
    names = ", ".join(sorted(Audience.Name(each) for each in allowed))
    return ApiError(
        Reason.AUDIENCE_NOT_ALLOWED,
        f"This kind of caller may not make this call; it is for {names or 'nobody'}.",
        metadata={"audience": names},
    )


def capability_missing(capability: str) -> ApiError:
    """The refusal for a key that lacks a capability."""
    return ApiError(
        Reason.CAPABILITY_MISSING,
        f"This key lacks the capability {capability}.",
        metadata={"capability": capability},
    )


def role_missing(role: "Role.ValueType") -> ApiError:
    """The refusal for a person whose role is too small."""
    name = Role.Name(role)
    return ApiError(
        Reason.ROLE_MISSING, f"This call needs the role {name}.", metadata={"role": name}
    )


def address_not_allowed(address: str) -> ApiError:
    """The refusal for a key that is used from outside its networks."""
    return ApiError(
        Reason.ADDRESS_NOT_ALLOWED,
        f"This API key may not be used from {address or 'an unknown address'}.",
        metadata={"client_address": address},
    )


def rule_of(method: descriptor.MethodDescriptor) -> Rule:
    """The access rule of an RPC."""
    rule = method.GetOptions().Extensions[rule_pb2.rule]
    resource = rule.WhichOneof("resource")
    value = capability_pb2.Capability.DESCRIPTOR.values_by_number[rule.capability]
    return Rule(
        audiences=frozenset(rule.audiences),
        capability=value.GetOptions().Extensions[capability_pb2.capability].id,
        server_field=rule.server_field,
        resource_field=getattr(rule, resource) if resource else "",
        role=rule.role,
        any_key=rule.any_key,
        mutates=method.GetOptions().Extensions[annotations_pb2.http].WhichOneof("pattern") != "get",
        recorded=rule.audited,
        details=frozenset(
            field.name
            for field in method.input_type.fields
            if field.GetOptions().Extensions[rule_pb2.recorded]
        ),
    )
