"""A filter on metadata, such as ``Type1 in grass,poison and not Type2=flying`` → what it asks.

    filter  = all { "or" all }
    all     = one { "and" one }
    one     = "not" one | "(" filter ")" | test
    test    = COLUMN ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) VALUE
            | COLUMN [ "not" ] "in" VALUE { "," VALUE }

A column or value with other characters than letters, digits and ``._-+/:`` stands in quotes, and
a quote inside is doubled. ``""`` is the empty cell. In a column of numbers numbers are compared,
else texts, as they are written. An empty cell is neither smaller nor larger than anything and
differs from every value, so ``not`` always is the rest.

What is asked is a tree, which a store renders in its own language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from pokesim.errors import UsageError, did_you_mean
from pokesim.index.metadata.filter import And, Comparison, Condition, In, Not, Or
from pokesim.index.metadata.table import Value, number_of

Known = Callable[[str, str], Sequence[Value] | None]
"""(column, value) → None if the column has the value, else what it has."""

_TOKEN = re.compile(
    r"""\s*(?: (?P<word>[\w._+/:-]+) | (?P<mark><=|>=|!=|[=<>(),])
         | "(?P<double>(?:[^"]|"")*)" | '(?P<single>(?:[^']|'')*)' )""",
    re.VERBOSE,
)

_ORDER = ("<", "<=", ">", ">=")

_DEEPEST, _MOST_TESTS, _MOST_VALUES = 20, 400, 20_000  # the stores have limits too

_LISTED = 20


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    kind: str  # "word", "mark" or "quoted"; "end" behind the last

    def is_word(self, word: str) -> bool:
        return self.kind == "word" and self.text.lower() == word

    def is_mark(self, *marks: str) -> bool:
        return self.kind == "mark" and self.text in marks


def parse_filter(where: str, columns: Mapping[str, bool], known: Known) -> Condition:
    """Return what a filter asks.

    Args:
        where: the filter.
        columns: the columns there are; True for one of numbers.
        known: tells the values that a column of texts has.

    Raises:
        UsageError: the filter cannot be read, or names a column or value that is not there.
    """
    parser = _Parser(where, list(_tokens(where)), columns, known)
    asked = parser.any_of(0)
    if parser.now.kind != "end":
        parser.fail("and, or, or the end")
    return asked


def _tokens(where: str) -> Sequence[_Token]:
    try:
        where.encode()
    except UnicodeEncodeError as error:
        raise UsageError("The filter is not text.") from error
    tokens, at = [], 0
    while where[at:].strip():
        found = _TOKEN.match(where, at)
        if not found:
            raise UsageError(
                f"The filter {where!r} cannot be read from {where[at:].strip()!r} on; a value "
                "with such characters stands in quotes."
            )
        kind, text, at = found.lastgroup or "", found[found.lastgroup or 0], found.end()
        if kind in ("double", "single"):
            mark = '"' if kind == "double" else "'"
            kind, text = "quoted", text.replace(2 * mark, mark)
        tokens.append(_Token(text, kind))
    return [*tokens, _Token("", "end")]


@dataclass(slots=True)
class _Parser:
    where: str
    tokens: list[_Token]
    columns: Mapping[str, bool]
    known: Known
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
        parts = [self.all_of(depth)]
        while self.now.is_word("or"):
            self.step()
            parts.append(self.all_of(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def all_of(self, depth: int) -> Condition:
        parts = [self.one(depth)]
        while self.now.is_word("and"):
            self.step()
            parts.append(self.one(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def one(self, depth: int) -> Condition:
        negated = False
        while self.now.is_word("not"):
            self.step()
            negated = not negated
        if self.now.is_mark("("):
            if depth == _DEEPEST:
                raise UsageError(f"The filter has more than {_DEEPEST} brackets in each other.")
            self.step()
            asked = self.any_of(depth + 1)
            if not self.now.is_mark(")"):
                self.fail("a closing bracket")
            self.step()
        else:
            asked = self.test()
        return Not(asked) if negated else asked

    def test(self) -> Condition:
        self.tests += 1
        if self.tests > _MOST_TESTS:
            raise UsageError(f"The filter has more than {_MOST_TESTS} tests; use in.")
        column = self.column()
        if self.now.is_mark(*_ORDER):
            mark = self.step().text
            return self.compared(column, mark, self.value(column, must_be_known=False))
        if self.now.is_mark("=", "!="):
            mark = self.step().text
            same = self.one_of(column, [self.value(column)])
            return same if mark == "=" else Not(same)
        negated = self.now.is_word("not")
        if negated:
            self.step()
        if not self.now.is_word("in"):
            self.fail("=, !=, <, <=, >, >= or in")
        self.step()
        values = [self.value(column)]
        while self.now.is_mark(","):
            self.step()
            values.append(self.value(column))
        among = self.one_of(column, values)
        return Not(among) if negated else among

    def compared(self, column: str, mark: str, value: Value) -> Condition:
        if value is None:
            raise UsageError(f'Nothing is {mark} the empty cell; ask {column} = "" or != "".')
        return Comparison(column, mark, value)

    def one_of(self, column: str, values: Sequence[Value]) -> Condition:
        there = tuple(value for value in values if value is not None)
        self.values += len(there)
        if self.values > _MOST_VALUES:
            raise UsageError(f"The filter has more than {_MOST_VALUES:,} values.")
        return In(column, there, len(there) < len(values))

    def column(self) -> str:
        token = self.now
        if token.kind not in ("word", "quoted"):
            self.fail("a column")
        if token.text not in self.columns:
            hint = did_you_mean(token.text, self.columns) or f" It has {', '.join(self.columns)}."
            raise UsageError(f"The metadata has no column {token.text}.{hint}")
        return self.step().text

    def value(self, column: str, must_be_known: bool = True) -> Value:
        token = self.now
        if token.kind not in ("word", "quoted"):
            self.fail("a value")
        self.step()
        if not token.text:
            return None
        if self.columns[column]:
            number = number_of(token.text)
            if number is None:
                raise UsageError(f"{column} holds numbers; {token.text} is none.")
            return number
        there = self.known(column, token.text) if must_be_known else None
        if there is not None:
            names = [str(value) for value in there]
            hint = did_you_mean(token.text, names)
            if not hint and len(names) <= _LISTED:
                hint = f" It has {', '.join(names)}."
            raise UsageError(f"{column} has no value {token.text}.{hint}")
        return token.text

    def fail(self, wanted: str) -> NoReturn:
        here = f"at {self.now.text!r}" if self.now.kind != "end" else "at its end"
        raise UsageError(f"The filter {self.where!r} needs {wanted} {here}.")


def no_metadata(where: str) -> UsageError:
    """Say that an index has nothing to filter by."""
    return UsageError(
        f"The index has no metadata to filter by ({where}); give it a table with "
        "`pokesim build-index --metadata TABLE.csv`."
    )
