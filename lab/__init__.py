"""What stands in for hardware and for a data centre, on one machine."""
