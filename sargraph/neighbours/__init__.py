"""Floor 4: similar users, found by the similarity of their histories, with the evidence."""
