"""What an operator installs, beside the services themselves."""
