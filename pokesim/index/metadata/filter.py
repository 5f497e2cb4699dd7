"""A metadata filter as a tree, which each store renders in its own language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Comparison:
    """A cell is not empty, and it is smaller or larger: the mark is <, <=, > or >=."""

    column: str
    mark: str
    value: str | int | float


@dataclass(frozen=True, slots=True)
class In:
    """A cell is one of some values, or empty where that is allowed too."""

    column: str
    values: tuple[str | int | float, ...]
    or_empty: bool


@dataclass(frozen=True, slots=True)
class Not:
    """The rest of what is asked."""

    asked: Condition


@dataclass(frozen=True, slots=True)
class And:
    """All of what is asked is so."""

    asked: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Some of what is asked is so."""

    asked: tuple[Condition, ...]


Condition: TypeAlias = Comparison | In | Not | And | Or
