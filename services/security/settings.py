"""The settings of security: F2H_SECURITY_*."""

from pydantic_settings import SettingsConfigDict

from services.runtime.settings import Address, ServiceSettings


class SecuritySettings(ServiceSettings):
    """What security can be told."""

    model_config = SettingsConfigDict(env_prefix="F2H_SECURITY_")

    listen: Address = "127.0.0.1:50053"
    auth: Address = "127.0.0.1:50051"
