"""Webhooks: what happens to an account's operations and servers, sent to where it asked for it."""
