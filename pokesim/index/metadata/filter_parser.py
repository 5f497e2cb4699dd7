"""Parse a filter such as ``Type1 in grass,poison and not Type2=flying`` into a `Condition`.

    filter  = all { "or" all }
    all     = one { "and" one }
    one     = "not" one | "(" filter ")" | test
    test    = COLUMN ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) VALUE
            | COLUMN [ "not" ] "in" VALUE { "," VALUE }

A column or value with characters other than letters, digits and ``._-+/:`` must be in quotes; a
quote inside is doubled. ``""`` is the empty cell. Numeric columns compare as numbers, all others as
text. An empty cell is neither smaller nor larger than any value and differs from every value, so
``not`` always selects exactly the pictures that its operand does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from pokesim.errors import UsageError, did_you_mean
from pokesim.index.metadata.filter import And, Comparison, Condition, In, Not, Or
from pokesim.index.metadata.table import Value, number_of

Alternatives = Callable[[str, str], Sequence[Value] | None]
"""(column, value) → None if the column has the value, else the values that it has."""

_TOKEN = re.compile(
    r"""\s*(?: (?P<word>[\w._+/:-]+) | (?P<symbol><=|>=|!=|[=<>(),])
         | "(?P<double>(?:[^"]|"")*)" | '(?P<single>(?:[^']|'')*)' )""",
    re.VERBOSE,
)

_ORDER = ("<", "<=", ">", ">=")

_MAX_DEPTH, _MAX_TESTS, _MAX_VALUES = 20, 400, 20_000  # the stores have limits too

_MAX_LISTED = 20


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    kind: str  # "word", "symbol" or "quoted"; "end" after the last

    def is_word(self, word: str) -> bool:
        return self.kind == "word" and self.text.lower() == word

    def is_symbol(self, *symbols: str) -> bool:
        return self.kind == "symbol" and self.text in symbols


def parse_filter(where: str, columns: Mapping[str, bool], alternatives: Alternatives) -> Condition:
    """Parse a filter.

    Args:
        where: the filter.
        columns: the columns of the metadata; True for a numeric one.
        alternatives: checks a value of a text column.

    Raises:
        UsageError: the filter has a syntax error, or names an unknown column or value.
    """
    parser = _Parser(where, _tokens(where), columns, alternatives)
    condition = parser.any_of(0)
    if parser.now.kind != "end":
        parser.fail("and, or, or the end")
    return condition


def _tokens(where: str) -> list[_Token]:
    try:
        where.encode()
    except UnicodeEncodeError as error:
        raise UsageError("The filter is not valid text.") from error
    tokens, at = [], 0
    while where[at:].strip():
        found = _TOKEN.match(where, at)
        if not found:
            raise UsageError(
                f"Unexpected {where[at:].strip()!r} in the filter {where!r}; put a value with such "
                "characters in quotes."
            )
        kind, text, at = found.lastgroup or "", found[found.lastgroup or 0], found.end()
        if kind in ("double", "single"):
            quote = '"' if kind == "double" else "'"
            kind, text = "quoted", text.replace(2 * quote, quote)
        tokens.append(_Token(text, kind))
    return [*tokens, _Token("", "end")]


@dataclass(slots=True)
class _Parser:
    """A recursive-descent parser; a method for each rule of the grammar."""

    where: str
    tokens: list[_Token]
    columns: Mapping[str, bool]
    alternatives: Alternatives
    at: int = 0
    tests: int = 0
    values: int = 0

    @property
    def now(self) -> _Token:
        return self.tokens[self.at]

    def step(self) -> _Token:
        token = self.now
        self.at += token.kind != "end"
        return token

    def any_of(self, depth: int) -> Condition:
        operands = [self.all_of(depth)]
        while self.now.is_word("or"):
            self.step()
            operands.append(self.all_of(depth))
        return operands[0] if len(operands) == 1 else Or(tuple(operands))

    def all_of(self, depth: int) -> Condition:
        operands = [self.one(depth)]
        while self.now.is_word("and"):
            self.step()
            operands.append(self.one(depth))
        return operands[0] if len(operands) == 1 else And(tuple(operands))

    def one(self, depth: int) -> Condition:
        negated = False
        while self.now.is_word("not"):
            self.step()
            negated = not negated
        if self.now.is_symbol("("):
            if depth == _MAX_DEPTH:
                raise UsageError(f"The filter nests more than {_MAX_DEPTH} brackets.")
            self.step()
            condition = self.any_of(depth + 1)
            if not self.now.is_symbol(")"):
                self.fail("a closing bracket")
            self.step()
        else:
            condition = self.test()
        return Not(condition) if negated else condition

    def test(self) -> Condition:
        self.tests += 1
        if self.tests > _MAX_TESTS:
            raise UsageError(f"The filter has more than {_MAX_TESTS} tests; use in.")
        column = self.column()
        if self.now.is_symbol("=", "!=", *_ORDER):
            operator = self.step().text
            self.reject_second_equals(column, operator)
            if operator in _ORDER:
                return self.comparison(column, operator)
            same = self.one_of(column, [self.value(column)])
            return same if operator == "=" else Not(same)
        negated = self.now.is_word("not")
        if negated:
            self.step()
        if not self.now.is_word("in"):
            self.fail("=, !=, <, <=, >, >= or in")
        self.step()
        values = [self.value(column)]
        while self.now.is_symbol(","):
            self.step()
            values.append(self.value(column))
        condition = self.one_of(column, values)
        return Not(condition) if negated else condition

    def reject_second_equals(self, column: str, operator: str) -> None:
        if self.now.is_symbol("="):
            self.step()
            value = self.now.text if self.now.kind in ("word", "quoted") else "VALUE"
            correct = f"{_in_quotes(column)}{operator}{_in_quotes(value)}"
            raise UsageError(f"Unexpected second '='; write {correct}.")

    def comparison(self, column: str, operator: str) -> Condition:
        value = self.value(column, must_exist=False)
        if value is None:
            name = _in_quotes(column)
            raise UsageError(
                f'An empty cell is not {operator} anything; write {name}="" or {name}!="".'
            )
        return Comparison(column, operator, value)

    def one_of(self, column: str, values: Sequence[Value]) -> Condition:
        filled = tuple(value for value in values if value is not None)
        self.values += len(filled)
        if self.values > _MAX_VALUES:
            raise UsageError(f"The filter has more than {_MAX_VALUES:,} values.")
        return In(column, filled, len(filled) < len(values))

    def column(self) -> str:
        token = self.now
        if token.kind not in ("word", "quoted"):
            self.fail("a column")
        if token.text not in self.columns:
            hint = did_you_mean(token.text, self.columns) or f" It has {', '.join(self.columns)}."
            raise UsageError(f"The metadata has no column {token.text}.{hint}")
        return self.step().text

    def value(self, column: str, must_exist: bool = True) -> Value:
        token = self.now
        if token.kind not in ("word", "quoted"):
            self.fail("a value")
        self.step()
        if not token.text:
            return None
        if self.columns[column]:
            number = number_of(token.text)
            if number is None:
                raise UsageError(f"{column} holds numbers; {token.text} is not a number.")
            return number
        alternatives = self.alternatives(column, token.text) if must_exist else None
        if alternatives is not None:
            names = [str(value) for value in alternatives]
            hint = did_you_mean(token.text, names)
            if not hint and len(names) <= _MAX_LISTED:
                hint = f" It has {', '.join(names)}."
            raise UsageError(f"{column} has no value {token.text}.{hint}")
        return token.text

    def fail(self, expected: str) -> NoReturn:
        if self.now.kind == "end":
            raise UsageError(f"Expected {expected} at the end of the filter {self.where!r}.")
        raise UsageError(f"Expected {expected} at {self.now.text!r} in the filter {self.where!r}.")


def _in_quotes(text: str) -> str:
    """Return a column or value as it is written in a filter: in quotes if it needs them."""
    found = _TOKEN.match(text)
    if found and found["word"] == text:
        return text
    return '"' + text.replace('"', '""') + '"'


def no_metadata(where: str) -> UsageError:
    """Return the error for a filter on an index without metadata."""
    return UsageError(
        f"The index has no metadata to filter by ({where}); give it a table with "
        "`pokesim build-index --metadata TABLE.csv`."
    )
