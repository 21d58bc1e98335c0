"""Who may do what: keys, their policies, and the check of every call."""
