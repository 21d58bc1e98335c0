"""What is measured of servers, over time."""
