"""What machines boot from the network, and what those that booted report."""
