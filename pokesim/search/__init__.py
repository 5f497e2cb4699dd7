"""Photo → matches: embed, search, rank, explain."""

DEFAULT_K = 5
"""The number of matches by default."""
