"""What every service needs, and nothing else. Imports no service."""
