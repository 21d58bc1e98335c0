"""Who may call: security schemes, and what they ask of a caller."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.runtime.access import CATALOGUE, Audience, Role, Rule
from tools.openapi.source import Json

_KEY: Json = {
    "type": "apiKey",
    "in": "header",
    "name": "X-API-Key",
    "description": "An API key, `f2h.<id>.<secret>`: 16 hexadecimal digits and the secret.",
}
_TOKEN: Json = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "A token of some minutes that an API key was exchanged for: see CreateToken, "
    "which asks for the key itself.",
}
_SESSION: Json = {
    "type": "apiKey",
    "in": "cookie",
    "name": "__Host-f2h_session",
    "description": "The session of a person, which Login begins. Where the API is served without "
    "TLS the cookie is named `f2h_session`. A call that changes something must also say from which "
    "page it comes, by the header Origin, as browsers do.",
}
_CERTIFICATE: Json = {
    "type": "mutualTLS",
    "description": "A client certificate that names a NOC service.",
}


@dataclass(frozen=True)
class Listener:
    """A listener of the edge, and who may call there."""

    schemes: "Mapping[Audience.ValueType, tuple[str, ...]]"
    """The security schemes of each kind of caller, any of them; none for anybody."""
    definitions: Mapping[str, Json]

    def audiences(self, rule: Rule) -> "frozenset[Audience.ValueType]":
        """Those of an RPC's audiences that may call here."""
        return rule.audiences & self.schemes.keys()


PUBLIC = Listener(
    {
        Audience.PUBLIC: (),
        Audience.CUSTOMER: ("ApiKey", "Bearer"),
        Audience.SESSION: ("Session",),
    },
    {"ApiKey": _KEY, "Bearer": _TOKEN, "Session": _SESSION},
)
INTERNAL = Listener(
    {
        Audience.PUBLIC: (),
        Audience.NOC: ("ApiKey", "ClientCertificate"),
        Audience.STAFF: ("Session",),
    },
    {"ApiKey": _KEY, "ClientCertificate": _CERTIFICATE, "Session": _SESSION},
)


def security(listener: Listener, rule: Rule) -> list[Json]:
    """What a caller shows, one of them; empty: nothing."""
    here = listener.audiences(rule)
    return [
        {name: []} for each in listener.schemes if each in here for name in listener.schemes[each]
    ]


def demands(listener: Listener, rule: Rule) -> tuple[list[str], Json]:
    """What a caller must hold, in words, and as extensions of an operation."""
    words, extensions = [], {}
    here = listener.audiences(rule)
    if Audience.CUSTOMER in here and rule.capability:
        label = CATALOGUE[rule.capability].label
        words.append(f"Requires the capability `{rule.capability}` ({label}).")
        extensions["x-f2h-capability"] = rule.capability
    if Audience.CUSTOMER in here and rule.any_key:
        words.append("Any API key may call.")
    if here & {Audience.SESSION, Audience.STAFF}:
        role = Role.Name(rule.role)
        words.append(f"A signed-in person needs the role `{role}` at least.")
        extensions["x-f2h-role"] = role
    return words, extensions
