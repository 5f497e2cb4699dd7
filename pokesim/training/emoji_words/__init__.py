"""Train a small network with a part for text on emoji and their names, and measure it."""
