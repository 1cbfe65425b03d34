"""Floor 2: events become a heterogeneous user-query-item graph."""
