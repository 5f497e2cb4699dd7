"""What a filter asks → an expression of Milvus.

A picture's row is JSON in the field ``metadata``, where ``c0``, ``c1``, … are the columns; an empty
cell is left out. What JSON ``not`` means of a key that is not there differs between versions of
Milvus, so a ``not`` is carried down to the tests, and there the empty cell is named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pokesim.index.metadata.filter import And, Comparison, Condition, In, Not

_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}

_ESCAPED = re.compile(r'[\x00-\x1f\x7f"\\]')


def filter_expression(asked: Condition, columns: Sequence[str], *, negated: bool = False) -> str:
    """Return the expression of what is asked, or of the rest.

    Args:
        asked: what a filter asks.
        columns: the columns of the metadata, in their order.
        negated: the rest is meant.
    """
    if isinstance(asked, Not):
        return filter_expression(asked.asked, columns, negated=not negated)
    if isinstance(asked, Comparison):
        return _compared(asked, cell_of(columns.index(asked.column)), negated)
    if isinstance(asked, In):
        return _one_of(asked, cell_of(columns.index(asked.column)), negated)
    word = "and" if isinstance(asked, And) != negated else "or"
    return _joined(word, [filter_expression(one, columns, negated=negated) for one in asked.asked])


def cell_name(at: int) -> str:
    """Return the key of a column, by its place."""
    return f"c{at}"


def cell_of(at: int) -> str:
    """Return the cell of a column, by its place."""
    return f'metadata["{cell_name(at)}"]'


def literal(value: str | int | float) -> str:
    """Return a value as Milvus reads it."""
    if not isinstance(value, str):
        return repr(value)
    return '"' + _ESCAPED.sub(lambda found: _escape(found[0]), value) + '"'


def _escape(character: str) -> str:
    return f"\\{character}" if character in '"\\' else f"\\x{ord(character):02x}"


def _compared(asked: Comparison, cell: str, negated: bool) -> str:
    mark = _OPPOSITE[asked.mark] if negated else asked.mark
    test = f"({cell} {mark} {literal(asked.value)})"
    return _joined("or", [_empty(cell), test]) if negated else test


def _one_of(asked: In, cell: str, negated: bool) -> str:
    lists = [
        [literal(value) for value in asked.values if type(value) is kind]
        for kind in dict.fromkeys(map(type, asked.values))  # a list must be of one kind
    ]
    if not negated:
        same = [f"({cell} in [{', '.join(some)}])" for some in lists]
        return _joined("or", [*same, *([_empty(cell)] if asked.or_empty else [])])
    others = [f"({cell} not in [{', '.join(some)}])" for some in lists]
    if asked.or_empty:
        return _joined("and", [f"(exists {cell})", *others])
    return _joined("or", [_empty(cell), _joined("and", others)])


def _empty(cell: str) -> str:
    return f"(not (exists {cell}))"


def _joined(word: str, parts: Sequence[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2  # in halves, as Milvus takes no deep nesting, and a chain nests
    return f"({_joined(word, parts[:middle])} {word} {_joined(word, parts[middle:])})"
