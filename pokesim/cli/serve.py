"""`pokesim serve`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pokesim.cli.options import IndexOption, PrecisionOption, RuntimeOption
from pokesim.cli.output import note
from pokesim.embedders.catalog import Precision, Runtime
from pokesim.errors import PokesimError, UsageError
from pokesim.index import DEFAULT_INDEX
from pokesim.show.text import counted

if TYPE_CHECKING:
    from pokesim.build.options import BuildReport
    from pokesim.search.index import Index


def serve(
    index: IndexOption = DEFAULT_INDEX,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 is every network.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    open_page: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
    token: Annotated[
        str | None, typer.Option(help="Token that every request must send.", envvar="POKESIM_TOKEN")
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Keep the index up to date with its picture folder meanwhile."
        ),
    ] = False,
    runtime: RuntimeOption = Runtime.LITERT,
    precision: PrecisionOption = Precision.FLOAT32,
) -> None:
    """Serve a page to drop photos on, and a REST interface.

    Only this machine can reach it, unless you give --host.

    Examples:
        pokesim serve --index indexes/mine --open --watch
        pokesim serve --host 0.0.0.0 --port 8080 --token "$SECRET"
        pokesim serve --runtime openvino --precision bfloat16
    """
    import os
    from urllib.parse import quote

    # Otherwise FAISS's threads spin for a while after each search, on cores that others need.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when FAISS is imported

    from pokesim.search.index import open_index

    try:
        from pokesim.web.hosts import AllowedHosts
        from pokesim.web.server import bound_socket, serve
    except ImportError as error:
        raise PokesimError(
            f"Serving needs {error.name}; install it with `pip install 'pokesim[web]'`."
        ) from error
    if token == "":
        raise UsageError("--token must not be empty.")
    opened = open_index(index, runtime=runtime, precision=precision)
    listening = bound_socket(host, port)
    address, bound_port = listening.getsockname()[:2]
    hosts = AllowedHosts(host, address)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{bound_port}/"
    if hosts.only_here:
        reach = "this machine only"
    else:
        reach = f"open to anyone on your network, {'with the token' if token else 'no token'}"

    def ready() -> None:
        pictures = counted(len(opened), "picture")
        note(f"Serving {pictures} of {index} at {url} ({reach}; press Ctrl-C to stop).")
        if open_page:
            import webbrowser

            webbrowser.open(f"{url}?token={quote(os.fsencode(token))}" if token else url)

    with _watching(opened, index) if watch else nullcontext():
        serve(opened, Path(index).resolve().name, listening, hosts, token, ready)
    note("Stopped.")


def _watching(opened: Index, index: str) -> AbstractContextManager[None]:
    """Keep the index up to date, in the way it was built, until the block ends."""
    from pokesim.build.watch import watching
    from pokesim.show.reports import update_lines

    manifest = opened.manifest
    images = Path(manifest.images)
    if "://" in index or not images.is_dir():
        raise PokesimError(
            f"--watch is for an index in a folder, of pictures on this machine; {index} has those "
            f"of {images}."
        )
    before: BuildReport | None = None

    def show(report: BuildReport) -> None:
        nonlocal before
        for line in update_lines(report, before) if report.changed else ():
            note(line)
        before = report

    return watching(images, index, show, precision=manifest.precision)
