"""Power: on, off, and what both have in common with a reboot."""
