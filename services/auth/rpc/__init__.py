"""The proto services: unpack, one use case, pack."""
