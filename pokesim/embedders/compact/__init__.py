"""The embedder that ships with pokesim: its LiteRT file, its card, its training."""
