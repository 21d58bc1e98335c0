"""Installing operating systems."""
