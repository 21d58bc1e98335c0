"""The servers: whose they are, their addresses, their BMC."""
