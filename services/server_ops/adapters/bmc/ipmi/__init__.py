"""BMCs over IPMI 2.0."""
