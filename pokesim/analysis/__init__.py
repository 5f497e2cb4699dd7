"""Analyse an index: evaluation, tuning, near-identical pictures, 2-D layout, capacity planning."""
