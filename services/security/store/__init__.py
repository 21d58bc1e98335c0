"""Where security keeps its state."""
