"""The parts of a data set's card: levels of categories, sequences, sections, plots."""
