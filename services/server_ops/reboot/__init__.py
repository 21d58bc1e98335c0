"""Restarting a server: one command, and proof that it worked."""
