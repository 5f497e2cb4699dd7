"""Check JSON that others may have forged: each field has a type and a range.

A *check* takes a parsed value and returns what is used in its place, or raises `FieldError`.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable, Collection
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, TypeAlias

Check: TypeAlias = Callable[[Any], Any]

_BYTES_PER_CONTAINER = 16
"""A JSON text has fewer objects and lists than one in so many bytes. Each takes 64 bytes in memory
or more, so without a bound a text of `[],[],…` would take twenty times its size."""


class FieldError(ValueError):
    """A value is not what its field requires; the message says where and what."""

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__(f"{where or 'it'} {what}")
        self.what, self.where = what, where

    def within(self, name: str) -> FieldError:
        """Return the error for the same value, seen from outside the field ``name``."""
        return FieldError(self.what, f"{name}.{self.where}" if self.where else name)


def parse_json(text: bytes, max_bytes: int) -> Any:
    """Parse JSON in memory proportional to its size.

    Raises:
        ValueError: it is not UTF-8 or not JSON, is too large or too deep, has a field twice, or a
            number that JSON does not have (NaN, Infinity).
    """
    if len(text) > max_bytes:
        raise FieldError(f"must have at most {max_bytes:,} bytes")
    if text.count(b"{") + text.count(b"[") > 64 + len(text) // _BYTES_PER_CONTAINER:
        raise FieldError("has too many objects and lists")
    try:
        return json.loads(
            text.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_no_constant
        )
    except RecursionError as error:
        raise FieldError("is nested too deeply") from error


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FieldError("has a field twice")
    return found


def _no_constant(name: str) -> Any:
    raise FieldError(f"has {name}, which is not JSON")


def boolean(value: Any) -> bool:
    """Check true or false."""
    if not isinstance(value, bool):
        raise FieldError("must be true or false")
    return value


def integer(least: int, most: int) -> Check:
    """Return the check of a whole number in a range; both ends are included."""

    def check(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:  # a bool is an int too
            raise FieldError(f"must be a whole number from {least:,} to {most:,}")
        return value

    return check


def number(least: float, most: float) -> Check:
    """Return the check of a finite number in a range; both ends are included."""

    def check(value: Any) -> float:
        if type(value) not in (int, float) or not least <= value <= most or math.isnan(value):
            raise FieldError(f"must be a number from {least:g} to {most:g}")
        return float(value)

    return check


def one_of(*known: Any) -> Check:
    """Return the check of one of some strings, or of some numbers."""

    def check(value: Any) -> Any:
        if not any(value == one and type(value) is type(one) for one in known):
            raise FieldError(f"must be {' or '.join(map(str, known))}")
        return value

    return check


def text(most: int | None = None, pattern: str | None = None, *, nul: bool = False) -> Check:
    """Return the check of text.

    Args:
        most: the most characters.
        pattern: a regular expression that all of it matches.
        nul: whether it may contain the character NUL.
    """
    regex = re.compile(pattern, re.ASCII) if pattern else None

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise FieldError("must be text")
        if most is not None and len(value) > most:
            raise FieldError(f"must have at most {most:,} characters")
        if ("\0" in value and not nul) or (regex and not regex.fullmatch(value)):
            raise FieldError("has characters that it cannot have")
        try:
            # The bytes of a file name that is not UTF-8 are lone surrogates, as os.fsdecode
            # returns them; no other lone surrogate can be printed or stored.
            value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise FieldError("has half a surrogate pair") from error
        return value

    return check


def absolute_path(value: Any) -> str:
    """Check the absolute path of a file or folder, of this system or another."""
    path = text(32_768)(value)
    if not (PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()):
        raise FieldError("must be an absolute path")
    return str(path)


def utc_time(value: Any) -> str:
    """Check a time in UTC, ISO 8601."""
    written = text(40, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(\+00:00|Z)")(value)
    try:
        datetime.datetime.fromisoformat(written)
    except ValueError as error:
        raise FieldError("is not a time") from error
    return str(written)


def optional(check: Check) -> Check:
    """Return the check of a value that may be null."""
    return lambda value: None if value is None else check(value)


def list_of(check: Check, count: int | None = None) -> Check:
    """Return the check of a list, of ``count`` values if given, which becomes a tuple."""

    def check_list(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or (count is not None and len(value) != count):
            raise FieldError("must be a list" if count is None else f"must be {count} values")
        try:
            return tuple([check(one) for one in value])
        except FieldError as error:
            raise FieldError(f"has a value whose {error}") from error

    return check_list


def mapping(key: Check, check: Check, least: int, most: int) -> Check:
    """Return the check of an object with names of the user's choice."""

    def check_mapping(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or not least <= len(value) <= most:
            raise FieldError(f"must be an object with {least:,} to {most:,} fields")
        return {key(name): _checked(name, check, one) for name, one in value.items()}

    return check_mapping


def record(
    build: Callable[..., Any], fields: dict[str, Check], optional_fields: Collection[str] = ()
) -> Check:
    """Return the check of an object with these fields and no others.

    Args:
        build: called with the checked values, by field; it may raise `FieldError` as well.
        fields: the check of each field.
        optional_fields: fields that may be missing.
    """
    required = fields.keys() - {*optional_fields}

    def check_record(value: Any) -> Any:
        if not isinstance(value, dict):
            raise FieldError("must be an object")
        if not value.keys() <= fields.keys():
            raise FieldError("has fields this pokesim does not know")
        if not required <= value.keys():
            raise FieldError(f"lacks {min(required - value.keys())}")
        return build(**{name: _checked(name, fields[name], one) for name, one in value.items()})

    return check_record


def _checked(name: str, check: Check, value: Any) -> Any:
    try:
        return check(value)
    except FieldError as error:
        raise error.within(name) from error
