"""A metadata filter as a tree of conditions, which each store translates to its query language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Comparison:
    """A cell is not empty and compares to a value; the operator is <, <=, > or >=."""

    column: str
    operator: str
    value: str | int | float


@dataclass(frozen=True, slots=True)
class In:
    """A cell has one of some values; with ``or_empty``, it may also be empty."""

    column: str
    values: tuple[str | int | float, ...]
    or_empty: bool


@dataclass(frozen=True, slots=True)
class Not:
    """The operand does not hold."""

    operand: Condition


@dataclass(frozen=True, slots=True)
class And:
    """All operands hold."""

    operands: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one operand holds."""

    operands: tuple[Condition, ...]


Condition: TypeAlias = Comparison | In | Not | And | Or
