"""Passwords as crypt(3) compares them."""

import bcrypt


def hash_password(password: str) -> str:
    """The password's hash, "$2b$…": crypt(5) of libxcrypt, which Debian, Ubuntu and RHEL use."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt()).decode()
