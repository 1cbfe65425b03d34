"""The parts of `measure_effects`: what a log says about each mechanism, without the truth."""
