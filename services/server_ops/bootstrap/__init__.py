"""The one place that constructs server_ops."""
