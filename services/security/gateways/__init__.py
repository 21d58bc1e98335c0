"""Gateways: where fail2ban and the mail gate run, and how they are reached."""
