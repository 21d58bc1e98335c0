"""BMC drivers."""
