"""`pokesim mcp`."""

from __future__ import annotations

from pokesim.cli.options import IndexOption
from pokesim.cli.output import note
from pokesim.errors import PokesimError
from pokesim.index import DEFAULT_INDEX


def mcp(index: IndexOption = DEFAULT_INDEX) -> None:
    """Serve an assistant: tools that search, over MCP.

    An assistant that speaks the Model Context Protocol starts this command, and speaks to it over
    standard input and output. The tools query, similar, duplicates and info only read, and answer
    with pictures of the index.

    Examples:
        pokesim mcp --index indexes/mine
    """
    import signal

    from pokesim.search.index import open_index

    try:
        from pokesim.mcp.server import serve
    except ImportError as error:
        raise PokesimError(
            f"The tools for assistants need {error.name}; install it with "
            "`pip install 'pokesim[mcp]'`."
        ) from error
    opened = open_index(index)
    note(f"Serving tools for {index} to an assistant, over standard input and output.")
    # Python's own handler would wait for the thread that reads standard input.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    serve(index, opened)
