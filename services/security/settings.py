"""The settings of security: F2H_SECURITY_*, and files for what is secret."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.runtime.settings import Address, DatabaseUrl, IpAndPort, Key, ServiceSettings
from services.runtime.ssh import PrivateKey
from services.security.antispam.listing import SpamhausList


class SecuritySettings(ServiceSettings):
    """What security can be told."""

    model_config = SettingsConfigDict(env_prefix="F2H_SECURITY_")

    listen: Address = "127.0.0.1:50053"
    database_url: DatabaseUrl = "sqlite:///.run/security.db"
    auth: Address = "127.0.0.1:50051"
    server_ops: Address = "127.0.0.1:50052"
    service_key: Key
    """Secret. The Ed25519 private key that this service calls others in its own name with, base64.
    Its public key is in their setting service_public_keys, under "security"."""
    ssh_key: PrivateKey = ""
    """Secret. The private key, as OpenSSH writes it, that gateways let us in with; empty: none, and
    only a gateway on this machine can be asked."""
    gateway_seconds: float = Field(5.0, gt=0, le=60)
    """How long a gateway may take to let us in, and as long to answer each question."""
    gateway_waiting: int = Field(64, ge=1, le=10_000)
    """How many calls may wait for one gateway, which answers one after another."""
    nft_command: str = Field("nft", pattern=r"^[A-Za-z0-9/._ -]{1,100}$")
    """What runs nftables on a mail gate, for instance "sudo nft"."""
    watch_seconds: float = Field(60.0, ge=1, le=86400)
    """Between two looks at all bans of a gateway, which count how often an address was banned."""
    gate_seconds: float = Field(30.0, gt=0, le=3600)
    """How long unblocking an address is tried while a mail gate does not do it."""
    gate_check_seconds: float = Field(60.0, ge=1, le=86400)
    """Between two comparisons of what a mail gate blocks with what it should."""
    unblock_wait_seconds: float = Field(3600.0, ge=0, le=2_592_000)
    """How long after a first block its customer may ask for unblocking. Each repeat doubles it."""
    unblock_longest_wait_seconds: float = Field(604_800.0, ge=0, le=31_536_000)
    """The longest that this grows to."""
    dnsbl_zone: str = Field("", pattern=r"^([A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,8})?$")
    """Secret where it holds a key of the Data Query Service. The zone that is asked, for instance
    "zen.spamhaus.org"; empty: none, and whether an address is listed is UNKNOWN."""
    dnsbl_resolver: IpAndPort = ""
    """The resolver that is asked, an IP address and a port; empty: this machine's. Spamhaus refuses
    public resolvers."""
    dnsbl_seconds: float = Field(3.0, gt=0, le=30)
    """How long a look-up may take."""
    sweep_seconds: float = Field(3600.0, ge=1, le=604_800)
    """Each address of the inventory is looked up once in so many seconds, spread over them."""
    sweep_per_second: float = Field(100.0, gt=0, le=100_000)
    """How many look-ups a second the sweep makes at most."""
    block_lists: frozenset[SpamhausList] = frozenset()
    """The lists that an address is blocked for at port 25 when the sweep finds it there; none: the
    NOC alone blocks."""
