"""Making a key, by the rules of the form "Generate API key"."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from ipaddress import ip_network

from f2h.access.v1.capability_pb2 import CapabilityInfo
from f2h.access.v1.reason_pb2 import Reason

from services.auth.keys.digests import Digests
from services.auth.keys.expiry import Expiry
from services.auth.keys.key import (
    ApiKey,
    Audience,
    Inventory,
    KeyRequest,
    Keys,
    NewKey,
    SecretDigest,
)
from services.auth.keys.once import once
from services.auth.keys.secret import KeyText
from services.runtime.access import CATALOGUE
from services.runtime.clock import Clock
from services.runtime.errors import ApiError, Violation

_MAPPED_PREFIX = 96
"""::ffff:0:0/96, RFC 4291 section 2.5.5.2."""


@dataclass(frozen=True)
class KeyForm:
    """What was filled in."""

    account: str
    label: str
    servers: tuple[str, ...]
    capabilities: tuple[str, ...]
    cidrs: tuple[str, ...]
    expire_time: datetime | None
    no_expiry: bool = False


class CreateKey:
    """Makes keys."""

    def __init__(
        self,
        keys: Keys,
        inventory: Inventory,
        digests: Digests,
        expiry: Expiry,
        clock: Clock,
        *,
        account_exists: Callable[[str], Awaitable[bool]],
        generate: Callable[[], KeyText],
    ) -> None:
        self._keys = keys
        self._inventory = inventory
        self._expiry = expiry
        self._account_exists = account_exists
        self._digests = digests
        self._clock = clock
        self._generate = generate

    async def for_customer(
        self, form: KeyForm, request: KeyRequest | None = None
    ) -> tuple[ApiKey, KeyText]:
        """A customer's key, and its text, which is not kept.

        Raises ApiError(INVALID_REQUEST) naming every field that breaks a rule of the form, and
        what services.auth.keys.once.once raises for a request that made a key before.
        """
        return await once(self._keys, request, partial(self._for_customer, form, request))

    async def _for_customer(
        self, form: KeyForm, request: KeyRequest | None
    ) -> tuple[ApiKey, KeyText]:
        servers = tuple(server.lower() for server in form.servers)
        violations = _form_violations(form)
        expire_time, wrong = self._expiry.of(form.expire_time, self._clock(), never=form.no_expiry)
        violations += wrong
        if form.account and not await self._account_exists(form.account):
            violations.append(Violation("account", f"there is no account {form.account}"))
        if form.account and servers:
            answer = await self._inventory.owned(form.account, [*dict.fromkeys(servers)])
            owned = answer.hostnames
            text = f"is not a server of account {form.account}"
            violations += [
                Violation(f"servers[{index}]", f"{server} {text}")
                for index, server in enumerate(servers)
                if server not in owned
            ]
        if violations:
            text = "; ".join(f"{each.field}: {each.description}" for each in violations)
            raise ApiError(Reason.INVALID_REQUEST, text, violations=violations)
        return await self._add(
            Audience.CUSTOMER,
            form.account,
            form.label,
            capabilities=tuple(sorted(set(form.capabilities))),
            servers=tuple(dict.fromkeys(servers)),
            cidrs=canonical_cidrs(form.cidrs),
            expire_time=expire_time,
            request=request,
        )

    async def for_noc(self, label: str, certificate: str | None = None) -> tuple[ApiKey, KeyText]:
        """A NOC service's key: it works on the internal listener only.

        With `certificate`, the name in a client certificate, the service may show that instead.
        """
        return await self._add(Audience.NOC, "", label, certificate=certificate)

    async def _add(
        self,
        audience: Audience,
        account: str,
        label: str,
        *,
        capabilities: tuple[str, ...] = (),
        servers: tuple[str, ...] = (),
        cidrs: tuple[str, ...] = (),
        expire_time: datetime | None = None,
        certificate: str | None = None,
        request: KeyRequest | None = None,
    ) -> tuple[ApiKey, KeyText]:
        text = self._generate()
        key = ApiKey(
            id=text.id,
            audience=audience,
            account=account,
            label=label,
            capabilities=capabilities,
            servers=servers,
            cidrs=cidrs,
            create_time=self._clock(),
            expire_time=expire_time,
        )
        pepper = self._digests.in_use
        digest = SecretDigest(pepper, self._digests.digest(text.secret, pepper))
        await self._keys.add(NewKey(key, digest, certificate, request))
        return key, text


def canonical_cidrs(cidrs: Iterable[str]) -> tuple[str, ...]:
    """Networks in the form that they are kept in, each once."""
    return tuple(dict.fromkeys(_canonical(cidr) for cidr in cidrs))


def _canonical(cidr: str) -> str:
    """A network in the form that it is kept in. Clients are known by their IPv4 address where they
    have one, so a network of IPv4-mapped addresses is the IPv4 network that it maps.
    """
    network = ip_network(cidr)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= _MAPPED_PREFIX:
        return f"{mapped}/{network.prefixlen - _MAPPED_PREFIX}"
    return str(network)


def _form_violations(form: KeyForm) -> list[Violation]:
    violations = []
    if not form.account:
        violations.append(Violation("account", "is required: say which account the key is for"))
    unknown = [each for each in form.capabilities if each not in CATALOGUE]
    if unknown:
        known = ", ".join(CATALOGUE)
        text = f"no such capability: {', '.join(unknown)}; there are {known}"
        violations.append(Violation("capabilities", text))
    needs_server = any(
        CATALOGUE[each].scope == CapabilityInfo.SERVER
        for each in form.capabilities
        if each in CATALOGUE
    )
    if needs_server and not form.servers:
        text = "tick at least one server: a server-scoped capability is ticked"
        violations.append(Violation("servers", text))
    return violations
