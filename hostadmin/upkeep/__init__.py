"""Restart policies and cleanup: select (pure), plan, apply; the schedule as one table."""
