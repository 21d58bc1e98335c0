"""The audit trail: who did what, and what came of it."""
