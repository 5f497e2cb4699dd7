"""Photo → matches: embed, search, rank, explain."""
