"""SSH host keys, as people compare them."""

import base64
import hashlib


def fingerprint(key: str) -> str:
    """The fingerprint of a key "type base64", as ssh shows it: "SHA256:" and base64 (RFC 4648)
    without padding.
    """
    blob = base64.b64decode(key.split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
