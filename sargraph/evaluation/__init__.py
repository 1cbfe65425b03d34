"""Floor 2: ranks, metrics, intervals, protocols and the baselines beside every figure."""
