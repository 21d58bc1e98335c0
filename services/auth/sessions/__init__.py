"""Sessions of signed-in people."""
