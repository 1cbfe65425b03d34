"""Floor 6: the whole sentence, from raw logs to a judged report."""
