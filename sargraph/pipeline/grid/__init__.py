"""Grids: an experiment as cells of model x data x seed, each made once and shared by all."""
