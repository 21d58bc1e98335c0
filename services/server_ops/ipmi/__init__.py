"""What is known of BMCs: their status, sensors and events."""
