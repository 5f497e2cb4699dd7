"""Picture → vector: the catalogue of embedders, their model files, and the runtimes."""
