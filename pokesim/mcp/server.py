"""The server process: the tools over standard input and output."""

from __future__ import annotations

import inspect
import logging
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import ValidationError

from pokesim import __version__
from pokesim.errors import PokesimError
from pokesim.mcp.tools import Tools
from pokesim.search.index import Index
from pokesim.show.text import counted, plain

log = logging.getLogger(__name__)


class _Server(MCPServer):
    """A server whose errors are one sentence, without the SDK's introduction."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool. Raises ToolError."""
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            raise ToolError(_sentence(name, error)) from error.__cause__


def _sentence(name: str, error: ToolError) -> str:
    match error.__cause__:
        case PokesimError() as ours:
            return plain(str(ours))
        case ValidationError() as invalid:
            first = invalid.errors()[0]
            where = ".".join(map(str, first["loc"])) or name
            return f"{where}: {first['msg'].rstrip('.')}."
        case None:
            return plain(f"{error}.")
        case cause:
            log.error(plain(f"{name} failed: {type(cause).__name__}: {cause}"))
            return "The tool failed; see the log of the server."


def serve(name: str, index: Index) -> None:
    """Answer an assistant until it closes standard input.

    Args:
        name: the index's folder or address.
        index: the opened index.
    """
    # Else the SDK sets up a handler that would repeat what pokesim logs.
    logging.getLogger().addHandler(logging.NullHandler())
    pictures = f"{counted(len(index), 'picture')} of {index.manifest.images}"
    about = f"Finds pictures by their looks, among {pictures}."
    server = _Server("pokesim", instructions=about, version=__version__, log_level="ERROR")
    tools = Tools(name, index)
    for tool in (tools.query, tools.similar, tools.duplicates, tools.info):
        server.add_tool(
            tool,
            description=inspect.getdoc(tool),
            annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
        )
    server.run("stdio")
