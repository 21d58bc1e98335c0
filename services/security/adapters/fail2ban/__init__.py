"""fail2ban on the gateways, over its socket."""
