"""Matches → something to look at: text in several formats, a picture, a terminal preview."""
