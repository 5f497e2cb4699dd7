"""Vectors on disk, and exact and approximate nearest-neighbour search among them."""
