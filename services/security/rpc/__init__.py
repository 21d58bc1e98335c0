"""One module a proto service: unpack, one use case, pack."""
