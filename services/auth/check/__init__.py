"""The check of every call that passes the edge."""
