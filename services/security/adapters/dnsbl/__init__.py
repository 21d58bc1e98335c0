"""DNS blocklists (RFC 5782), asked about many addresses at once."""
