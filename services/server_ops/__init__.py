"""What exists and what is done to it: the inventory, and every operation on a server."""
