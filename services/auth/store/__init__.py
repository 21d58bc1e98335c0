"""Where this service keeps its state."""
