"""Parse a filter such as ``Type1 in grass,poison and not Type2=flying`` into a `Condition`.

    filter  = all { "or" all }
    all     = one { "and" one }
    one     = "not" one | "(" filter ")" | test
    test    = COLUMN ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) VALUE
            | COLUMN [ "not" ] "in" VALUE { "," VALUE }

A column or value with characters other than letters, digits and ``._-+/:`` must be in quotes; a
quote inside is doubled. ``""`` is the empty cell. Numeric columns compare as numbers, all others as
text. An empty cell is neither smaller nor larger than any value and differs from every value, so
``not`` always selects exactly the pictures that its operand does not. Numbers compare exactly;
`pokesim.index.metadata.table` says what a number is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NoReturn

from pokesim.errors import UsageError, did_you_mean
from pokesim.index.metadata.filter import And, Comparison, Condition, In, Not, Or
from pokesim.index.metadata.table import Value, number_of

Alternatives = Callable[[str, str], Sequence[Value] | None]
"""(column, value) → None if the column has the value, else the values that it has, cut short."""

_TOKEN = re.compile(
    r"""(?: (?P<word>[\w._+/:-]+) | (?P<symbol><=|>=|!=|[=<>(),])
         | "(?P<double>(?:[^"]|"")*)" | '(?P<single>(?:[^']|'')*)' )""",
    re.VERBOSE,
)

_SPACE = re.compile(r"\s*")

_ORDER = ("<", "<=", ">", ">=")

MAX_LENGTH = 1_000_000
"""The longest filter, in characters."""

_MAX_DEPTH, _MAX_TESTS, _MAX_VALUES = 20, 400, 20_000  # the stores have limits too

_MAX_LISTED, _MAX_SHOWN = 20, 80


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
    parser = _Parser(where, columns, alternatives, _tokens(where))
    condition = parser.any_of(0)
    if parser.now.kind != "end":
        parser.fail("and, or, or the end")
    return condition


def _tokens(where: str) -> Iterator[_Token]:
    """Yield the tokens of a filter, as the parser asks for them: it stops early at a limit."""
    try:
        where.encode()
    except UnicodeEncodeError as error:
        raise UsageError("The filter is not valid text.") from error
    if len(where) > MAX_LENGTH:
        raise UsageError(f"The filter is longer than {MAX_LENGTH:,} characters.")
    at, end = 0, len(where.rstrip())
    while (at := _end_of_space(where, at)) < end:
        found = _TOKEN.match(where, at)
        if not found:
            rest = where[at : at + 2 * _MAX_SHOWN].rstrip()
            raise UsageError(
                f"Unexpected {_shown(rest)!r} in the filter {_shown(where)!r}; put a value with "
                "such characters in quotes."
            )
        kind, text, at = found.lastgroup or "", found[found.lastgroup or 0], found.end()
        if kind in ("double", "single"):
            quote = '"' if kind == "double" else "'"
            kind, text = "quoted", text.replace(2 * quote, quote)
        yield _Token(text, kind)
    yield _Token("", "end")


def _end_of_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _shown(text: str) -> str:
    """Return a text as a message quotes it: not too long for a line or two."""
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


@dataclass(slots=True)
class _Parser:
    """A recursive-descent parser; a method for each rule of the grammar."""

    where: str
    columns: Mapping[str, bool]
    alternatives: Alternatives
    tokens: Iterator[_Token]
    now: _Token = field(init=False)
    tests: int = 0
    values: int = 0

    def __post_init__(self) -> None:
        self.now = next(self.tokens)

    def step(self) -> _Token:
        token = self.now
        self.now = next(self.tokens, token)
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
            correct = f"{_in_quotes(column)}{operator}{_in_quotes(_shown(value))}"
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
        return In(column, filled, len(filled) < len(values))

    def column(self) -> str:
        token = self.now
        if token.kind not in ("word", "quoted"):
            self.fail("a column")
        if token.text not in self.columns:
            hint = did_you_mean(token.text, self.columns) or f" It has {_listed(self.columns)}."
            raise UsageError(f"The metadata has no column {_shown(token.text)}.{hint}")
        return self.step().text

    def value(self, column: str, must_exist: bool = True) -> Value:
        token = self.now
        if token.kind not in ("word", "quoted"):
            self.fail("a value")
        self.step()
        self.values += 1
        if self.values > _MAX_VALUES:
            raise UsageError(f"The filter has more than {_MAX_VALUES:,} values.")
        if not token.text:
            return None
        if self.columns[column]:
            number = number_of(token.text)
            if number is None:
                raise UsageError(
                    f"{column} holds numbers of up to 18 digits; {_shown(token.text)} is not one."
                )
            return number
        alternatives = self.alternatives(column, token.text) if must_exist else None
        if alternatives is not None:
            names = [str(value) for value in alternatives]
            hint = did_you_mean(token.text, names)
            if not hint and len(names) <= _MAX_LISTED:
                hint = f" It has {_listed(names)}."
            raise UsageError(f"{column} has no value {_shown(token.text)}.{hint}")
        return token.text

    def fail(self, expected: str) -> NoReturn:
        where, found = _shown(self.where), _shown(self.now.text)
        if self.now.kind == "end":
            raise UsageError(f"Expected {expected} at the end of the filter {where!r}.")
        raise UsageError(f"Expected {expected} at {found!r} in the filter {where!r}.")


def _listed(names: Iterable[str]) -> str:
    """Return the first names as a message lists them."""
    first = [_shown(name) for name in islice(names, _MAX_LISTED + 1)]
    return ", ".join([*first[:_MAX_LISTED], "…"] if len(first) > _MAX_LISTED else first)


def _in_quotes(text: str) -> str:
    """Return a column or value as it is written in a filter: in quotes if it needs them."""
    found = _TOKEN.match(text)
    if found and found["word"] == text:
        return text
    return '"' + text.replace('"', '""') + '"'


def no_metadata(where: str) -> UsageError:
    """Return the error for a filter on an index without metadata."""
    return UsageError(
        f"The index has no metadata to filter by ({_shown(where)}); give it a table with "
        "`pokesim build-index --metadata TABLE.csv`."
    )
