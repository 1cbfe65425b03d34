"""Floor 2: the only training loop."""
