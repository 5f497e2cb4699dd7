"""Defaults of options from ``pokesim.toml``, or ``[tool.pokesim]`` in ``pyproject.toml``.

    index = "indexes/mine"        # of every command that has --index

    [query]                       # of one command
    k = 3
    format = "json"

The file is looked for in the current folder. What is given on the command line comes first, then
the environment (``POKESIM_INDEX``), then this file, then the command's own default.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pokesim.errors import UsageError, did_you_mean

FILES = ("pokesim.toml", "pyproject.toml")


def defaults_of(commands: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the defaults that the file has, by command and parameter; empty without a file.

    Args:
        commands: the command line's commands, by name.

    Raises:
        UsageError: the file cannot be read, or names a command or option that is not there.
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
                raise UsageError(f"{path} names no command: {name}.{did_you_mean(name, options)}")
            for option, own in value.items():
                if option not in options[name]:
                    hint = did_you_mean(option, options[name])
                    raise UsageError(f"{path}: {name} has no option {option}.{hint}")
                found[name][options[name][option]] = own
            continue
        if name not in everywhere:
            raise UsageError(f"{path}: no command has the option {name}.{_hint(name, everywhere)}")
        for command, known in options.items():
            if name in known:
                found[command].setdefault(known[name], value)
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
        except (OSError, ValueError) as error:
            if name == FILES[1]:
                continue  # another program's business
            raise UsageError(f"{name} cannot be read ({error}).") from error
        if name == FILES[1]:
            tools = settings.get("tool")
            settings = tools.get("pokesim", {}) if isinstance(tools, dict) else {}
        if settings:
            return name, settings if isinstance(settings, dict) else {}
    return "", {}


def _options(command: Any) -> dict[str, str]:  # noqa: ANN401 - typer's own click is private
    """Return the names that an option has without its dashes → its parameter."""
    return {
        name.lstrip("-"): one.name
        for one in command.params
        for name in one.opts
        if name.startswith("-")
    }
