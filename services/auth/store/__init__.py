"""Where this service keeps its state."""

from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"
