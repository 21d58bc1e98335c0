import base64
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from services.auth.settings import AuthSettings
from services.runtime.settings import ServiceSettings
from services.security.settings import SecuritySettings
from services.server_ops.settings import ServerOpsSettings

KEY = base64.b64encode(bytes(range(32))).decode()
SHORT = base64.b64encode(b"canary").decode()

AUTH = {
    "F2H_AUTH_PEPPERS": json.dumps({"1": {"key": KEY}}),
    "F2H_AUTH_SIGNING_KEYS": json.dumps({"1": {"key": KEY}}),
    "F2H_AUTH_SEALING_KEYS": json.dumps({"1": KEY}),
}
SERVER_OPS = {
    "F2H_SERVER_OPS_PRINCIPAL_PUBLIC_KEYS": json.dumps({"1": KEY}),
    "F2H_SERVER_OPS_BMC_KEYS": json.dumps({"1": KEY}),
}
SECURITY = {
    "F2H_SECURITY_PRINCIPAL_PUBLIC_KEYS": json.dumps({"1": KEY}),
    "F2H_SECURITY_SERVICE_KEY": KEY,
}

Environment = Callable[[dict[str, str]], None]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Makes an environment that tells the services this and nothing else."""

    def make(variables: dict[str, str]) -> None:
        for name in [*os.environ]:
            if name.startswith("F2H_"):
                monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return make


def complaint(settings: type[ServiceSettings], capsys: pytest.CaptureFixture[str]) -> str:
    """What a service says of settings with which it does not start."""
    with pytest.raises(SystemExit) as stopped:
        settings.load()
    assert stopped.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_right_settings_are_taken(environment: Environment) -> None:
    environment({**AUTH, **SECURITY, "F2H_AUTH_LISTEN": "[::1]:50051"})
    auth = AuthSettings.load()
    assert auth.listen == "[::1]:50051"
    assert auth.peppers[1].key == bytes(range(32))
    assert [*auth.public_keys()] == [1]
    assert [*SecuritySettings.load().public_keys()] == [1]


def test_earlier_public_keys_are_known_beside_the_present_one(environment: Environment) -> None:
    environment({**AUTH, "F2H_AUTH_PRINCIPAL_PUBLIC_KEYS": json.dumps({"0": KEY})})
    assert sorted(AuthSettings.load().public_keys()) == [0, 1]


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        (AuthSettings, "F2H_AUTH_LISTEN", "nowhere"),
        (AuthSettings, "F2H_AUTH_SERVER_OPS", "host:port"),
        (AuthSettings, "F2H_AUTH_METRICS", "somewhere:9291"),
        (AuthSettings, "F2H_AUTH_METRICS", "127.0.0.1:99999"),
        (SecuritySettings, "F2H_SECURITY_TRACES", "http://collector:4317"),
        (SecuritySettings, "F2H_SECURITY_TRACES_RATIO", "1.1"),
        (AuthSettings, "F2H_AUTH_LOG_LEVEL", "LOUD"),
        (AuthSettings, "F2H_AUTH_DRAIN_SECONDS", "-1"),
        (AuthSettings, "F2H_AUTH_DRAIN_SECONDS", "soon"),
        (AuthSettings, "F2H_AUTH_KEY_CACHE_SECONDS", "1.1"),
        (AuthSettings, "F2H_AUTH_KEY_CACHE_SIZE", "0"),
        (AuthSettings, "F2H_AUTH_PEPPERS", "{}"),
        (AuthSettings, "F2H_AUTH_PEPPERS", json.dumps({"1": KEY})),
        (AuthSettings, "F2H_AUTH_PEPPERS", json.dumps({"1": {"key": SHORT}})),
        (AuthSettings, "F2H_AUTH_PEPPERS", json.dumps({"1": {"key": "canary!"}})),
        (AuthSettings, "F2H_AUTH_PEPPERS", json.dumps({"1": {"key": KEY, "use_from": "canary"}})),
        (AuthSettings, "F2H_AUTH_PEPPERS", "canary"),
        (AuthSettings, "F2H_AUTH_SIGNING_KEYS", json.dumps({"1": {"key": SHORT}})),
        (
            AuthSettings,
            "F2H_AUTH_SIGNING_KEYS",
            json.dumps({"1": {"use_from": "2026-01-01T00:00:00Z"}}),
        ),
        (AuthSettings, "F2H_AUTH_SIGNING_KEYS", json.dumps({"-1": {"key": KEY}})),
        (AuthSettings, "F2H_AUTH_SIGNING_KEYS", KEY),
        (AuthSettings, "F2H_AUTH_SEALING_KEYS", "{}"),
        (AuthSettings, "F2H_AUTH_PUBLIC_URL", "api.example.net"),
        (AuthSettings, "F2H_AUTH_PUBLIC_URL", "https://user@api.example.net"),
        (AuthSettings, "F2H_AUTH_SESSION_IDLE_SECONDS", "0"),
        (AuthSettings, "F2H_AUTH_KEY_MAX_DAYS", "-1"),
        (ServerOpsSettings, "F2H_SERVER_OPS_DNS_SERVER", "dns.example.net:53"),
        (ServerOpsSettings, "F2H_SERVER_OPS_DNS_RESOLVER", "192.0.2.53"),
        (ServerOpsSettings, "F2H_SERVER_OPS_DNS_RESOLVER", "[2001:db8::53]:0"),
        (ServerOpsSettings, "F2H_SERVER_OPS_SSH_KEY", "canary"),
        (SecuritySettings, "F2H_SECURITY_LISTEN", ""),
        (SecuritySettings, "F2H_SECURITY_AUTH", "auth"),
        (SecuritySettings, "F2H_SECURITY_PRINCIPAL_PUBLIC_KEYS", "canary"),
        (
            SecuritySettings,
            "F2H_SECURITY_PRINCIPAL_PUBLIC_KEYS",
            json.dumps({"1": SHORT}),
        ),
        (SecuritySettings, "F2H_SECURITY_SERVICE_KEY", SHORT),
        (SecuritySettings, "F2H_SECURITY_SERVICE_PUBLIC_KEYS", json.dumps({"A b": KEY})),
        (SecuritySettings, "F2H_SECURITY_DNSBL_ZONE", "canary zone"),
        (SecuritySettings, "F2H_SECURITY_DNSBL_RESOLVER", "resolver"),
        (SecuritySettings, "F2H_SECURITY_DNSBL_RESOLVER", "resolver.example.net:53"),
        (SecuritySettings, "F2H_SECURITY_DNSBL_RESOLVER", "192.0.2.53:99999"),
        (SecuritySettings, "F2H_SECURITY_SSH_KEY", "canary"),
        (SecuritySettings, "F2H_SECURITY_NFT_COMMAND", "nft; rm"),
        (SecuritySettings, "F2H_SECURITY_BLOCK_LISTS", json.dumps(["ABC"])),
        (SecuritySettings, "F2H_SECURITY_UNBLOCK_WAIT_SECONDS", "-1"),
    ],
)
def test_a_wrong_value_stops_the_service_naming_the_field_and_not_showing_it(
    environment: Environment,
    capsys: pytest.CaptureFixture[str],
    settings: type[ServiceSettings],
    name: str,
    value: str,
) -> None:
    environment({**AUTH, **SERVER_OPS, **SECURITY, name: value})
    said = complaint(settings, capsys)
    assert said.startswith(name)
    assert len(said.splitlines()) == 1
    for secret in (KEY, SHORT, "canary"):
        assert secret not in said


def test_every_missing_field_has_its_line(
    environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    environment({"F2H_AUTH_OIDC_ISSUER": "https://id.example.net"})
    lines = complaint(AuthSettings, capsys).splitlines()
    assert {line.partition(":")[0] for line in lines} == {*AUTH, "F2H_AUTH_OIDC_CLIENT_ID"}


def test_a_secret_may_stand_in_a_file(environment: Environment, tmp_path: Path) -> None:
    environment({})
    for name, value in AUTH.items():
        (tmp_path / name.lower()).write_text(value + "\n")
    found = AuthSettings(_secrets_dir=tmp_path)
    assert found.peppers[1].key == bytes(range(32))
