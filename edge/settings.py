"""What an operator sets of the edge: environment variables, F2H_EDGE_…"""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from edge.options import Options, Redirect
from services.runtime.settings import HIGHEST_PORT, Settings

_REDIRECT_PORT = 8080

Port = Annotated[int, Field(gt=0, le=HIGHEST_PORT)]

Origin = Annotated[str, Field(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$")]
"""A site as browsers name it (RFC 6454): scheme, host, and a port that is not the scheme's own."""


def _parts(text: object) -> object:
    if not isinstance(text, str):
        return text
    return [part.strip() for part in text.split(",") if part.strip()]


class EdgeSettings(Settings):
    """How the edge is configured; without any, as edge/envoy.yaml says."""

    model_config = SettingsConfigDict(env_prefix="F2H_EDGE_", extra="ignore")

    tls: Path = Path("/etc/f2h/tls")
    """The folder of the certificates of its listeners, as Envoy sees it."""
    services_tls: Path = Path("/etc/f2h/services-tls")
    """The folder of what it shows the services and trusts, see services.runtime.certificates."""
    https: bool = False
    """Whether the public listener speaks TLS, by public.pem and public.key in that folder."""
    https_port: Port = 443
    """Where the public listener is reached from outside, for those who are sent there."""
    redirect_http: bool = False
    """With https: whether port 8080 sends those who ask for http:// to https://."""
    hsts_seconds: int = Field(31_536_000, ge=0)
    """With https: for how long browsers keep to it; 0: they are not told."""
    cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_parts)] = ()
    """Sites whose pages may call with a key, separated by commas. None: CORS is off."""
    trusted_proxies: int = Field(0, ge=0, le=10)
    """How many proxies of the operator's stand in front, whose X-Forwarded-For is believed."""
    mcp: bool = False
    """Whether AI agents may call at /mcp, by the Model Context Protocol."""

    @field_validator("redirect_http")
    @classmethod
    def _redirects_to_https(cls, value: bool, others: ValidationInfo) -> bool:
        if value and not others.data.get("https"):
            raise ValueError("needs F2H_EDGE_HTTPS=true: there is nowhere to send anybody")
        return value

    def options(self) -> Options:
        """What is switched on."""
        redirect = Redirect("0.0.0.0", _REDIRECT_PORT, self.https_port)  # noqa: S104 - published
        return Options(
            https=self.https,
            hsts_seconds=self.hsts_seconds,
            redirect=redirect if self.redirect_http else None,
            cors_origins=self.cors_origins,
            trusted_proxies=self.trusted_proxies,
            mcp=self.mcp,
        )
