"""What protects a server from others, and others from it: anti-hack and anti-spam."""
