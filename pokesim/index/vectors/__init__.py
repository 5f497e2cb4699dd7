"""Vectors on disk, and exact and approximate nearest-neighbour search over them."""
