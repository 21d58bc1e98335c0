"""Anti-hack: what fail2ban on the gateways blocks for a server."""
