"""Whose a server is, and which addresses it has: server_ops knows."""
