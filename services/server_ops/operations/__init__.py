"""Operations: durable work on a server, one at a time."""
