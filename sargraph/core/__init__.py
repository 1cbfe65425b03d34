"""Floor 0: artefacts, configuration, randomness and small data structures that know no domain."""
