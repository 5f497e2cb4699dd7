"""Values of options: what none may be, and what is wrong with one, in plain English."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from pokesim.errors import UsageError

OLD_NAMES = frozenset({"--label", "--labels", "--misses"})
"""Former names of options, which still work for one release but are not shown."""

LARGEST = 10**12
"""The largest number that an option takes."""

_SHOWN = 60
"""Characters of a wrong value that a message shows."""

_REWORDED = (  # typer's messages, shorter and in plain English
    (r"^Invalid value for '([^']+)'(?: / '[^']+')*( \(env var: '[^']+'\))?: ", r"\1\2: "),
    (r" is not a valid int(?:eger)?(?: range)?\.", " is not a whole number."),
    (r" is not a valid float(?: range)?\.", " is not a number."),
    (r"^(.+): (\S+) is not in the range x>=(\S+)\.", r"\1 must be at least \3, not \2."),
    (
        r"^(.+): (\S+) is not in the range (\S+?)<=x<=(\S+)\.",
        r"\1 must be from \3 to \4, not \2.",
    ),
    (r"^No such option: (\S+)", r"No such option \1."),
    (r"\(Possible options: (.*)\)$", r"Did you mean \1?"),
    (r"^Got unexpected extra argument(?:s|\(s\))? \((.*)\)$", r"Unexpected argument \1."),
)


def reworded(error: Any, name: str = "") -> str:
    """Return the message of one of typer's usage errors in plain English.

    Args:
        error: the error.
        name: where the value is from, if the error does not know.
    """
    if possible := getattr(error, "possibilities", None):
        error.possibilities = [name for name in possible if name not in OLD_NAMES]
    message = str(error.format_message())
    if name:
        message = message.replace("Invalid value: ", f"{name}: ", 1)
    message = re.sub(rf"'([^']{{{_SHOWN}}})[^']+'", r"'\1…'", message)
    for pattern, better in _REWORDED:
        message = re.sub(pattern, better, message)
    return message


def check_value(name: str, value: Any) -> None:
    """Raise UsageError if a parsed value is empty, not a finite number, or beyond all bounds.

    Args:
        name: of the option, for the message.
        value: of the option; a sequence has its values checked.
    """
    if isinstance(value, str) and not value:
        raise UsageError(f"{name} must not be empty.")
    if isinstance(value, str) and "\0" in value:
        raise UsageError(f"{name} must not contain a null character.")
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{name} must be a finite number, not {value}.")
    if isinstance(value, int | float) and abs(value) > LARGEST:
        raise UsageError(f"{name} must be at most {LARGEST:,}.")
    if isinstance(value, Sequence) and not isinstance(value, str):
        for one in value:
            check_value(name, one)


def check_values(ctx: Any) -> None:
    """Check the values of all options and arguments of a command, as `check_value` does."""
    for param in ctx.command.params:
        check_value(name_of(param), ctx.params.get(param.name))


def name_of(param: Any) -> str:
    """Return the name of an option or argument, as messages call it."""
    shown = [name for name in param.opts if name not in OLD_NAMES]
    return str(shown[0] if param.param_type_name == "option" else param.human_readable_name)
