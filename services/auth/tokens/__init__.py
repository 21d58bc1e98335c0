"""Short-lived tokens that stand for a key."""
