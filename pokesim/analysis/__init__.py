"""Measure, tune and look through an index: evaluation, metrics, duplicates, layout, capacity."""
