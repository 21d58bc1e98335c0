"""Anti-spam: our own port-25 block, and what Spamhaus lists."""
