"""Signatures as Standard Webhooks 1.0 has them: HMAC-SHA-256, one for each valid secret."""

import base64
import secrets
from collections.abc import Iterable
from datetime import datetime

from standardwebhooks.webhooks import Webhook as Signer

SECRET_BYTES = 32


def new_secret() -> str:
    """A signing secret that nobody else knows, `whsec_` and base64."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def headers(event: str, body: str, signing: Iterable[str], now: datetime) -> dict[str, str]:
    """The headers of an attempt that begins now, in UTC; signed with each of the secrets."""
    return {
        "webhook-id": event,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Signer(each).sign(event, now, body) for each in signing),
    }
