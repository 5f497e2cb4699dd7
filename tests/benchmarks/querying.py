"""One cold query relative to a script, a warm one to the bare network; --help to an import."""

import statistics
from functools import partial
from pathlib import Path

import numpy as np
from common import Setting, in_turns, python, seconds_of, show

import pokesim
from pokesim.embedders.catalog import BUNDLED, DEFAULT
from pokesim.embedders.prepare import prepare_model
from pokesim.embedders.runtimes import open_embedder
from pokesim.images import find_files, pixels_of


def measure(setting: Setting, rounds: int) -> dict[str, float]:
    """Return the seconds that whole processes take to answer one query."""
    index = setting.folder / "query"
    pokesim.build_index(setting.images, index, **setting.options)
    ours = {name: setting.folder / f"query-{name}" for name in (DEFAULT, BUNDLED)}
    for name, path in ours.items():
        pokesim.build_index(setting.images, path, embedder=name)
    photo = setting.photos[0]
    with pokesim.open_index(index) as opened:
        vectors = {item.path: row for item, row in zip(opened.items, _rows(opened), strict=True)}
    np.savez(setting.weights.with_suffix(".npz"), **vectors)

    def query(path: Path, photo: Path = photo) -> float:
        return seconds_of(lambda: python("-m", "pokesim", "query", photo, "--index", path))

    inside = setting.images / find_files(setting.images)[0]
    seconds = in_turns(
        {
            "TensorFlow script": lambda: seconds_of(
                lambda: python(*setting.baseline, "query", photo)
            ),
            f"pokesim, {setting.embedder}": lambda: query(index),
            **{f"pokesim, {name}": partial(query, path) for name, path in ours.items()},
            "pokesim, picture of the index": lambda: query(ours[DEFAULT], inside),
        },
        rounds,
    )
    script = seconds["TensorFlow script"]
    rows = [("", "ms", "of the script")]
    rows += [
        (name, f"{1e3 * value:.0f}", f"{value / script:.3f}") for name, value in seconds.items()
    ]
    show("One cold query, the whole process", rows)
    _measure_help(rounds)
    _measure_warm(setting, {setting.embedder: index, **ours})
    return seconds


def _measure_help(rounds: int) -> None:
    # A run takes a tenth of a query, so there are more of them.
    seconds = in_turns(
        {
            "import typer": lambda: seconds_of(lambda: python("-c", "import typer")),
            "pokesim --help": lambda: seconds_of(lambda: python("-m", "pokesim", "--help")),
        },
        5 * rounds,
    )
    rows = [("", "ms", "of the import")]
    rows += [
        (name, f"{1e3 * value:.0f}", f"{value / seconds['import typer']:.2f}")
        for name, value in seconds.items()
    ]
    show("The list of commands, the whole process", rows)


def _measure_warm(setting: Setting, indexes: dict[str, Path]) -> None:
    rows = [("", "query, ms", "network alone, ms", "reading, ms", "added, ms")]
    for name, path in indexes.items():
        weights = setting.weights if name == setting.embedder else None
        network = open_embedder(prepare_model(name, weights))
        photos = setting.photos[:40]
        with pokesim.open_index(path) as opened:
            opened.query(photos[0])
            timings: list[tuple[float, float, float]] = []
            for photo in photos:
                pixels = pixels_of(photo, network.side)[None]
                network.embed(pixels)
                timings.append(
                    (
                        seconds_of(lambda: opened.query(photo)),  # noqa: B023 - called at once
                        seconds_of(lambda: network.embed(pixels)),  # noqa: B023
                        seconds_of(lambda: pixels_of(photo, network.side)),  # noqa: B023
                    )
                )
        whole, alone, reading = (
            1e3 * statistics.median(column) for column in zip(*timings, strict=True)
        )
        added = whole - alone - reading
        rows.append((name, f"{whole:.2f}", f"{alone:.2f}", f"{reading:.2f}", f"{added:.2f}"))
    show("One warm query, from Python", rows)


def _rows(opened: pokesim.Index) -> np.ndarray:
    return np.concatenate(list(opened.blocks()))
