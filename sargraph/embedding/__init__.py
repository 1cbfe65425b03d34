"""Floor 3: graph embedding models and the artefact they leave behind."""
