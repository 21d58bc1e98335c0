"""docker-compose.yml brought up for real, with Podman: `python -m lab.containers`."""
