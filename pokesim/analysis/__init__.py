"""Analyse an index: evaluation, tuning, duplicates, 2-D layout, capacity planning."""

from enum import StrEnum


class Keep(StrEnum):
    """Which picture of a group comes first; of equal ones the first in the order of paths."""

    LARGEST = "largest"
    OLDEST = "oldest"
    NEWEST = "newest"
    FIRST = "first"
    SHORTEST_PATH = "shortest-path"
