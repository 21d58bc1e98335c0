"""HTTP to the receivers of webhooks."""
