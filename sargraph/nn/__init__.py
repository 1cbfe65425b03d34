"""Pure mathematics of the models: tensors in, tensors out; knows no files."""
