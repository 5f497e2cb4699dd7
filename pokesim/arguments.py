"""Checks of arguments: each returns a value that the rest of the code can rely on.

What callers pass may be anything, and the libraries below are written in C++: they read beyond an
array, abort, or silently do something else. So every public function checks its arguments with
these before it works with them, and so does the command line by calling those functions.
"""

from __future__ import annotations

import math
import operator
import os
import reprlib
from collections.abc import Iterable
from enum import StrEnum
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

from pokesim.errors import UsageError, did_you_mean

Choice = TypeVar("Choice", bound=StrEnum)


def whole_number(name: str, value: object, least: int = 1, most: int | None = None) -> int:
    """Return a whole number, also one of NumPy's, within bounds. Raises UsageError."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]  # that is what it finds out
    except TypeError as error:
        raise UsageError(f"{name} must be a whole number, not {shown(value)}.") from error
    if number < least:
        raise UsageError(f"{name} must be at least {least}, not {shown(number)}.")
    if most is not None and number > most:
        raise UsageError(f"{name} must be at most {most:,}, not {shown(number)}.")
    return number


def finite_number(name: str, value: object) -> float:
    """Return a number that is neither infinite nor NaN, as a float. Raises UsageError."""
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise UsageError(f"{name} must be a finite number, not {shown(value)}.")


def truth(name: str, value: object) -> bool:
    """Return a bool. Raises UsageError for any other type."""
    if not isinstance(value, bool):
        raise UsageError(f"{name} must be True or False, not {shown(value)}.")
    return value


def text(name: str, value: object) -> str:
    """Return a str. Raises UsageError for any other type."""
    if not isinstance(value, str):
        raise UsageError(f"{name} must be a string, not {shown(value)}.")
    return value


def choice(name: str, value: object, choices: type[Choice]) -> Choice:
    """Return the member of an enumeration with this value. Raises UsageError."""
    if not isinstance(value, str) or value not in list(choices):
        hint = did_you_mean(value, choices) if isinstance(value, str) else ""
        raise UsageError(f"{name} must be one of {', '.join(choices)}, not {shown(value)}.{hint}")
    return choices(value)


def file_path(name: str, value: object) -> Path:
    """Return the path of a file or a folder, given as a str or a path. Raises UsageError."""
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"{name} must be a path, not {shown(value)}.")
    path = os.fspath(value)
    if not isinstance(path, str) or "\0" in path:
        raise UsageError(f"{name} must be a path without null characters, not {shown(path)}.")
    return Path(path)


def iterable(name: str, value: object) -> Iterable[Any]:
    """Return a list or another iterable, but not a str or bytes. Raises UsageError."""
    if not isinstance(value, Iterable) or isinstance(value, str | bytes):
        raise UsageError(f"{name} must be a list, not {shown(value)}.")
    return value


def shown(value: object) -> str:
    """Return a value as it is shown in a message: on one line, and short."""
    return " ".join(reprlib.repr(value).split())
