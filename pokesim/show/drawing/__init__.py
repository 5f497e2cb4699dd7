"""Pictures that show results: a photo and its match, sheets of duplicates and of misses."""
