"""Outside systems, each behind a Protocol of the use cases."""
