"""What AI agents may do with a key."""
