"""Defaults of options from ``pokesim.toml``, or ``[tool.pokesim]`` in ``pyproject.toml``.

    index = "indexes/mine"        # for every command that has --index

    [query]                       # for one command
    k = 3
    format = "json"

The file is read from the current folder. The command line takes precedence, then the environment
(``POKESIM_INDEX``), then this file, then the command's own default. A value for every command is
ignored by a command whose option does not have this choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from pokesim.cli.values import check_value, reworded
from pokesim.errors import UsageError, did_you_mean

FILES = ("pokesim.toml", "pyproject.toml")

_KINDS = {
    bool: "true or false",
    list: "a list",
    dict: "a table",
    int: "a number",
    float: "a number with a fraction",
}


def defaults_of(commands: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the file's defaults by command and parameter; empty without a file.

    Args:
        commands: the commands by name.

    Raises:
        UsageError: the file cannot be read, names an unknown command or option, or has a value that
            the option does not take.
    """
    path, settings = _settings()
    if not settings:
        return {}
    options = {name: _options(command) for name, command in commands.items()}
    everywhere = {name for known in options.values() for name in known}
    found: dict[str, dict[str, Any]] = {name: {} for name in commands}
    for name, value in settings.items():
        if isinstance(value, dict):
            if name not in options:
                raise UsageError(f"{path}: no such command {name}.{did_you_mean(name, options)}")
            for option, own in value.items():
                if option not in options[name]:
                    hint = did_you_mean(option, options[name])
                    raise UsageError(f"{path}: {name} has no option {option}.{hint}")
                known = options[name][option]
                found[name][known.name] = _converted(f"{path}: [{name}] {option}", known, own)
            continue
        if name not in everywhere:
            raise UsageError(f"{path}: no command has the option {name}.{_hint(name, everywhere)}")
        having = {command: known[name] for command, known in options.items() if name in known}
        accepting = {command: one for command, one in having.items() if _accepts(one, value)}
        for command, option in (accepting or having).items():
            found[command].setdefault(option.name, _converted(f"{path}: {name}", option, value))
    return found


def _hint(name: str, options: set[str]) -> str:
    return did_you_mean(name, sorted(options))


def _settings() -> tuple[str, dict[str, Any]]:
    for name in FILES:
        path = Path(name)
        if not path.is_file():
            continue
        import tomllib

        try:
            settings = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            if name == FILES[1]:
                continue  # a file for other programs too
            raise UsageError(f"{name} cannot be read ({error}).") from error
        if name == FILES[1]:
            tools = settings.get("tool")
            settings = tools.get("pokesim", {}) if isinstance(tools, dict) else {}
            if not isinstance(settings, dict):
                raise UsageError(f"{name}: [tool.pokesim] must be a table.")
        if settings:
            return name, settings
    return "", {}


def _accepts(option: Any, value: Any) -> bool:
    choices = getattr(option.type, "choices", None)
    return choices is None or (isinstance(value, str) and value in list(choices))


def _converted(key: str, option: Any, value: Any) -> Any:
    """Return a value as the option's type. Raises UsageError, with the key, if it does not fit."""
    if option.multiple:
        values = value if isinstance(value, list) else [value]
        return [_converted_one(key, option, one) for one in values]
    return _converted_one(key, option, value)


def _converted_one(key: str, option: Any, value: Any) -> Any:
    wanted, types = _expected(option)
    # True is an int in Python.
    if not isinstance(value, types) or (isinstance(value, bool) and types != (bool, str)):
        kind = _KINDS.get(type(value), "a date")
        raise UsageError(f"{key} must be {wanted}, not {kind}.")
    try:
        converted = option.type.convert(value, None, None)
    except typer.BadParameter as error:
        raise UsageError(reworded(error, key)) from error
    check_value(key, converted)
    return converted


def _expected(option: Any) -> tuple[str, tuple[type, ...]]:
    """Return what an option takes, in words and as types; all can be written as text."""
    kind = option.type.name
    if option.is_flag:
        return "true or false", (bool, str)
    if kind.startswith("int"):
        return "a whole number", (int, str)
    if kind.startswith("float"):
        return "a number", (int, float, str)
    return "text", (str, int, float)


def _options(command: Any) -> dict[str, Any]:
    """Return the options by each of their names, without dashes."""
    return {
        name.lstrip("-"): one for one in command.params for name in one.opts if name.startswith("-")
    }
