"""Picture → vector: a catalogue of networks, their export to LiteRT, and the runner."""
