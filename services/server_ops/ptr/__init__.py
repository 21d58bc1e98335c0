"""PTR records."""
