"""Models that read a history in order: they score the next item of a search or a recommendation."""
