"""The addresses of servers, and moving failover addresses."""
