"""The rescue system: booting into it, and leaving it."""
