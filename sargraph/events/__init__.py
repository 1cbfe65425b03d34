"""Floor 1: raw logs become one table of events."""
