"""How `ingest` reads: files, columns, times, ids, queries, and the fate of every row."""
