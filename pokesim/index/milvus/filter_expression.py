"""A metadata filter → a Milvus expression.

A picture's metadata are JSON in the field ``metadata``, with a key ``c0``, ``c1``, … for each
column; an empty cell is left out. What ``not`` means for a missing JSON key differs between
versions of Milvus, so negation is pushed down to the comparisons, which handle the empty cell
explicitly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pokesim.index.metadata.filter import And, Comparison, Condition, In, Not

_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}

_ESCAPED = re.compile(r'[\x00-\x1f\x7f"\\]')


def filter_expression(
    condition: Condition, columns: Sequence[str], *, negated: bool = False
) -> str:
    """Return the Milvus expression of a condition.

    Args:
        condition: the filter.
        columns: all columns of the metadata, in their order.
        negated: return the expression of its negation.
    """
    if isinstance(condition, Not):
        return filter_expression(condition.operand, columns, negated=not negated)
    if isinstance(condition, Comparison):
        return _comparison(condition, cell(columns.index(condition.column)), negated)
    if isinstance(condition, In):
        return _in(condition, cell(columns.index(condition.column)), negated)
    operator = "and" if isinstance(condition, And) != negated else "or"
    return _joined(
        operator, [filter_expression(one, columns, negated=negated) for one in condition.operands]
    )


def cell_key(column: int) -> str:
    """Return the JSON key of a column, by its number."""
    return f"c{column}"


def cell(column: int) -> str:
    """Return the expression of a column's cell, by its number."""
    return f'metadata["{cell_key(column)}"]'


def literal(value: str | int | float) -> str:
    """Return a value as a literal of an expression."""
    if not isinstance(value, str):
        return repr(value)
    return '"' + _ESCAPED.sub(lambda found: _escape(found[0]), value) + '"'


def _escape(character: str) -> str:
    return f"\\{character}" if character in '"\\' else f"\\x{ord(character):02x}"


def _comparison(condition: Comparison, operand: str, negated: bool) -> str:
    mark = _OPPOSITE[condition.operator] if negated else condition.operator
    test = f"({operand} {mark} {literal(condition.value)})"
    return _joined("or", [_is_empty(operand), test]) if negated else test


def _in(condition: In, operand: str, negated: bool) -> str:
    lists = [
        [literal(value) for value in condition.values if type(value) is kind]
        for kind in dict.fromkeys(map(type, condition.values))  # a list must be of one type
    ]
    if not negated:
        tests = [f"({operand} in [{', '.join(values)}])" for values in lists]
        return _joined("or", [*tests, *([_is_empty(operand)] if condition.or_empty else [])])
    tests = [f"({operand} not in [{', '.join(values)}])" for values in lists]
    if condition.or_empty:
        return _joined("and", [f"(exists {operand})", *tests])
    return _joined("or", [_is_empty(operand), _joined("and", tests)])


def _is_empty(operand: str) -> str:
    return f"(not (exists {operand}))"


def _joined(operator: str, tests: Sequence[str]) -> str:
    if len(tests) == 1:
        return tests[0]
    middle = len(tests) // 2  # Milvus limits nesting, and a chain nests once for each test
    left, right = _joined(operator, tests[:middle]), _joined(operator, tests[middle:])
    return f"({left} {operator} {right})"
