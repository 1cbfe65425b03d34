"""Contract suites and naive oracles; imported by tests only."""
