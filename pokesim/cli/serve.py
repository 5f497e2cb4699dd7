"""The command that serves an index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pokesim.cli.app import note
from pokesim.cli.options import IndexOption, PrecisionOption, RuntimeOption
from pokesim.embedders.catalog import Precision, Runtime
from pokesim.errors import PokesimError, UsageError
from pokesim.index import DEFAULT_INDEX
from pokesim.show.text import counted


def serve(
    index: IndexOption = DEFAULT_INDEX,
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 is every one of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    open_page: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
    token: Annotated[
        str | None, typer.Option(help="Ask this of every request.", envvar="POKESIM_TOKEN")
    ] = None,
    runtime: RuntimeOption = Runtime.LITERT,
    precision: PrecisionOption = Precision.FLOAT32,
) -> None:
    """Serve a page to drop photos on, and a REST interface.

    Only this machine reaches it, unless --host says otherwise.

    Examples:
        pokesim serve --index indexes/mine --open
        pokesim serve --host 0.0.0.0 --port 8080 --token "$SECRET"
        pokesim serve --runtime openvino --precision bfloat16
    """
    import os
    from urllib.parse import quote

    # FAISS's threads else spin for a while after each search, on cores that others wait for.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when FAISS is loaded

    from pokesim.search.index import open_index

    try:
        from pokesim.web.hosts import AllowedHosts
        from pokesim.web.server import bound_socket, serve
    except ImportError as error:
        raise PokesimError(
            f"Serving needs {error.name}; `pip install 'pokesim[web]'` brings it."
        ) from error
    if token == "":
        raise UsageError("--token must not be empty.")
    opened = open_index(index, runtime=runtime, precision=precision)
    listening = bound_socket(host, port)
    address, bound_port = listening.getsockname()[:2]
    hosts = AllowedHosts(host, address)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{bound_port}/"
    who = "this machine only" if hosts.only_here else "whoever reaches this machine"

    def ready() -> None:
        pictures = counted(len(opened), "picture")
        note(f"Serving {pictures} of {index} at {url} ({who}; Ctrl-C ends it).")
        if open_page:
            import webbrowser

            webbrowser.open(f"{url}?token={quote(token)}" if token else url)

    serve(opened, Path(index).resolve().name, listening, hosts, token, ready)
    note("Ended.")
