"""Signing in: passwords, second factors, an OpenID Connect provider, and the throttle."""
