import base64
import json
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab import ca
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


@pytest.mark.parametrize("key", ["", "canary", base64.b64encode(bytes(15)).decode()])
def test_a_dns_server_needs_a_key_that_is_long_enough(
    environment: Environment, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    variables = {**SERVER_OPS, "F2H_SERVER_OPS_DNS_SERVER": "192.0.2.53:53"}
    environment({**variables, "F2H_SERVER_OPS_DNS_KEY": key})
    said = complaint(ServerOpsSettings, capsys)
    assert said.startswith("F2H_SERVER_OPS_DNS_KEY: ")
    assert "canary" not in said
    environment({**variables, "F2H_SERVER_OPS_DNS_KEY": KEY})
    assert ServerOpsSettings.load().dns_key == KEY


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


def test_a_process_of_server_ops_is_called_as_its_host(
    environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    environment(SERVER_OPS)
    assert ServerOpsSettings.load().instance == socket.gethostname()
    environment({**SERVER_OPS, "F2H_SERVER_OPS_INSTANCE": "not a name"})
    assert "F2H_SERVER_OPS_INSTANCE" in complaint(ServerOpsSettings, capsys)


# --- How services are reached


@pytest.fixture
def tls(tmp_path: Path) -> Path:
    """Folders of certificates, one for each part."""
    ca.make_services(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        (AuthSettings, "F2H_AUTH_LISTEN", "0.0.0.0:50051"),
        (AuthSettings, "F2H_AUTH_LISTEN", "[::]:50051"),
        (AuthSettings, "F2H_AUTH_LISTEN", "192.0.2.1:50051"),
        (AuthSettings, "F2H_AUTH_LISTEN", "auth:50051"),
        (AuthSettings, "F2H_AUTH_SERVER_OPS", "server_ops:50052"),
        (ServerOpsSettings, "F2H_SERVER_OPS_AUTH", "auth:50051"),
        (SecuritySettings, "F2H_SECURITY_AUTH", "192.0.2.1:50051"),
        (SecuritySettings, "F2H_SECURITY_SERVER_OPS", "server_ops:50052"),
    ],
)
def test_another_machine_is_not_spoken_to_in_the_clear(
    environment: Environment,
    capsys: pytest.CaptureFixture[str],
    tls: Path,
    settings: type[ServiceSettings],
    name: str,
    value: str,
) -> None:
    variables = {**AUTH, **SERVER_OPS, **SECURITY, name: value}
    environment(variables)
    assert complaint(settings, capsys).startswith(f"{name}: ")
    environment({**variables, f"F2H_{settings.name().upper()}_TLS": str(tls / settings.name())})
    assert settings.load().tls == tls / settings.name()


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "localhost:1"])
def test_this_machine_may_be_spoken_to_in_the_clear(environment: Environment, listen: str) -> None:
    environment({**AUTH, "F2H_AUTH_LISTEN": listen})
    assert AuthSettings.load().tls is None


def test_a_folder_without_what_it_should_hold_stops_the_service(
    environment: Environment, capsys: pytest.CaptureFixture[str], tls: Path
) -> None:
    def said(folder: Path) -> str:
        environment({**AUTH, "F2H_AUTH_LISTEN": "0.0.0.0:50051", "F2H_AUTH_TLS": str(folder)})
        text = complaint(AuthSettings, capsys)
        assert text.startswith("F2H_AUTH_TLS: ")
        assert len(text.splitlines()) == 1
        return text

    assert "service.pem cannot be read" in said(tls / "nowhere")
    assert "service.pem names spiffe://f2hcloud/service/security" in said(tls / "security")
    (tls / "auth" / "service.key").write_bytes((tls / "edge" / "service.key").read_bytes())
    assert "service.key is not the key" in said(tls / "auth")
    ca.replace_services(tls, datetime.now(UTC) - 2 * ca.VALID)
    assert "service.pem does not count now: it ended" in said(tls / "auth")
