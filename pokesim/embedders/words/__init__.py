"""Words as query vectors: what a network's own classifier knows by name."""
