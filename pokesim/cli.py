"""The command line: parse, call, print. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from pokesim import __version__
from pokesim.clock import lap, measured
from pokesim.embedders.catalog import Precision, Runtime
from pokesim.errors import NoIndexError, PokesimError, UsageError
from pokesim.index import DEFAULT_INDEX
from pokesim.labels import Labels
from pokesim.show.text import Format, plain

if TYPE_CHECKING:
    from pokesim.index.search import Answer
    from pokesim.index.work import BuildReport

INTERRUPTED = 130  # what a shell expects after Ctrl-C


class _Group(TyperGroup):
    """Turns every error into one sentence on standard error and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Let --debug stand anywhere, also behind a command's name."""
        if "--debug" in args:
            args = ["--debug", *(arg for arg in args if arg != "--debug")]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        """Run a command."""
        try:
            return super().invoke(ctx)
        except PokesimError as error:
            _fail(ctx, str(error), error.exit_code)
        except KeyboardInterrupt as interrupt:
            told = str(interrupt) or "Interrupted; an index that was there before is unchanged."
            _fail(ctx, told, INTERRUPTED)
        except BrokenPipeError:
            raise  # the reader has gone; typer ends quietly
        except Exception as error:
            if type(error).__module__.startswith("typer."):
                raise  # a usage error or an exit, which typer handles
            kind = type(error).__name__
            _fail(ctx, f"Unexpected {kind}: {error} (--debug shows where).", PokesimError.exit_code)


def _fail(ctx: Any, sentence: str, code: int) -> NoReturn:  # noqa: ANN401
    if ctx.params.get("debug"):
        traceback.print_exc()
    _note(plain(f"pokesim: {sentence}"))
    raise typer.Exit(code)


def _note(line: str) -> None:
    print(line, file=sys.stderr)


app = typer.Typer(
    cls=_Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class EvaluationFormat(StrEnum):
    """How figures are written."""

    TABLE = "table"
    JSON = "json"


LabelsOption = Annotated[
    Labels, typer.Option(help="What names the label; auto: the stem if the index knows it.")
]
RuntimeOption = Annotated[Runtime, typer.Option(help="What runs the network; keras: on a GPU.")]
PrecisionOption = Annotated[Precision, typer.Option(help="Of OpenVINO's arithmetic.")]
IndexOption = Annotated[Path, typer.Option("--index", help="The index's folder.")]


@app.callback(invoke_without_command=True)
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show an error's traceback.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Search a folder of pictures with a photo: exact nearest neighbours, offline."""
    if version:
        print(f"pokesim {__version__}")
        raise typer.Exit
    for stream in (sys.stdout, sys.stderr):
        # A file name need not be text in the terminal's encoding; it goes out as the bytes it is.
        stream.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    handler = logging.StreamHandler(sys.stderr)
    log = logging.getLogger("pokesim")
    log.handlers = [handler]
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    # Pillow's remarks on bad files; what is skipped is listed with its reason anyway.
    logging.getLogger("PIL").addHandler(logging.NullHandler())


@app.command("build-index")
def build_index(
    images: Annotated[
        Path | None,
        typer.Argument(
            metavar="IMAGES",
            help="Folder of pictures. Default: images/, else the index's own, else samples.",
        ),
    ] = None,
    index: IndexOption = DEFAULT_INDEX,
    embedder: Annotated[
        str, typer.Option(help="A name that `pokesim embedders` lists, or auto.")
    ] = "auto",
    weights: Annotated[
        Path | None, typer.Option(help="Weights file (.h5) for a Keras embedder.")
    ] = None,
    normalize: Annotated[
        bool | None,
        typer.Option(
            "--normalize/--no-normalize",
            help="Scale vectors to length 1, or keep their lengths. Default: as the index has it.",
            show_default="normalize",
        ),
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Embed everything again, whatever was there.")
    ] = False,
    search: Annotated[
        str, typer.Option(help="flat or panorama (exact), auto, or a FAISS factory string.")
    ] = "auto",
    runtime: RuntimeOption = Runtime.LITERT,
    precision: PrecisionOption = Precision.FLOAT32,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Pictures embedded at a time.", show_default="32"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail if any picture cannot be read.")
    ] = False,
    max_pixels: Annotated[
        int | None,
        typer.Option(min=1, help="Cap on width × height.", show_default="89 million"),
    ] = None,
    file_seconds: Annotated[
        float | None,
        typer.Option(min=0, help="Time that reading one file may take.", show_default="60"),
    ] = None,
) -> None:
    """Embed a folder of pictures and write an exact index of them, or bring one up to date.

    What an index has already is not embedded again, and an interrupted build goes on.

    Example: pokesim build-index ~/Pictures --index indexes/mine
    """
    from pokesim.embedders.litert import BATCH_SIZE
    from pokesim.images import FILE_SECONDS, MAX_PIXELS
    from pokesim.index import build
    from pokesim.show.progress import progress_shown

    folder = images or _default_images(index)
    with progress_shown("files") as progress:
        report = build.build_index(
            folder,
            index,
            embedder=embedder,
            weights=weights,
            search=search,
            runtime=runtime,
            precision=precision,
            normalize=normalize,
            rebuild=rebuild,
            batch_size=batch_size or BATCH_SIZE,
            strict=strict,
            max_pixels=max_pixels or MAX_PIXELS,
            file_seconds=FILE_SECONDS if file_seconds is None else file_seconds,
            progress=progress,
        )
    _report(report)


def _report(report: BuildReport) -> None:
    """Say what a build did."""
    for skipped in report.skipped:
        _note(plain(f"skipped {skipped.path}: {skipped.reason}"))
    if not report.changed:
        print(f"Nothing to do: {report.index} has these {report.indexed:,} pictures already.")
        return
    print(
        f"Indexed {report.indexed:,} pictures, skipped {len(report.skipped):,}, with "
        f"{report.embedder} in {report.seconds:.1f} s: {report.embedded:,} embedded "
        f"({report.embedded / report.seconds:,.0f} a second), "
        f"{report.indexed - report.embedded:,} as before, {report.dropped:,} dropped. "
        f"The index is {report.index}."
    )


def _default_images(index: Path) -> Path:
    from pokesim.index.snapshot import open_snapshot

    if Path("images").is_dir():
        return Path("images")
    with contextlib.suppress(NoIndexError):
        return Path(open_snapshot(index).manifest.images)
    from pokesim.samples import builtin_samples

    _note("There is no images/ here; indexing the built-in sample pictures.")
    return builtin_samples().images


@app.command()
def query(
    photos: Annotated[
        list[str],
        typer.Argument(metavar="PHOTO", help="Path, http(s) URL, or - for standard input."),
    ],
    k: Annotated[int, typer.Option("-k", min=1, help="How many matches.")] = 5,
    index: IndexOption = DEFAULT_INDEX,
    form: Annotated[Format, typer.Option("--format", help="How they are written.")] = Format.TABLE,
    save: Annotated[
        Path | None, typer.Option(help="Write photo and matches side by side to a PNG or JPEG.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Preview on the terminal.")] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Tell where the time went.")] = False,
    runtime: RuntimeOption = Runtime.LITERT,
    precision: PrecisionOption = Precision.FLOAT32,
) -> None:
    """Find the pictures most like a photo, nearest first.

    Distance is Euclidean. Similarity is 100 times the cosine of the two vectors, in percent.

    Example: pokesim query photo.jpg -k 3 --save match.png
    """
    from pokesim.show import text

    if save:
        _check_ending("--save", save)
    good: list[Answer] = []
    failed: list[Answer] = []
    with measured() as laps:
        laps.seconds["start Python"] = time.process_time()
        with lap("import NumPy and Pillow"):
            from pokesim.index.search import open_index
        opened = open_index(index, runtime=runtime, precision=precision)
        if opened.manifest.search.recall is not None:
            _note(f"The search is {text.search_text(opened.manifest.search)}.")
        with lap("write the answers"):
            answers = _sorted_out(opened.answer(photos, k), good, failed)
            text.write_answers(answers, form, sys.stdout)
        with lap("draw"):
            if show:
                _preview(good)
            if save and good:
                from pokesim.show.card import save_cards

                save_cards(good, save)
    if stats:
        _note(text.laps_text(laps.seconds))
    if failed:
        raise typer.Exit(PokesimError.exit_code)


def _check_ending(option: str, path: Path) -> None:
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"{option} writes PNG or JPEG; name a file *.png or *.jpg, not {path}.")


def _sorted_out(
    answers: Iterable[Answer], good: list[Answer], failed: list[Answer]
) -> Iterator[Answer]:
    """Pass answers on, noting each failure as it comes and keeping both kinds for later."""
    for answer in answers:
        if answer.error:
            _note(plain(f"pokesim: {answer.error}"))
        (failed if answer.error else good).append(answer)
        yield answer


def _preview(answers: list[Answer]) -> None:
    import shutil

    from pokesim.show.terminal import preview

    if not sys.stderr.isatty():
        _note("--show needs a terminal; nothing is drawn.")
        return
    for answer in answers:
        _note(preview(answer.photo, answer.matches, shutil.get_terminal_size().columns))


@app.command()
def embedders(
    prepare: Annotated[
        str | None, typer.Option(metavar="NAME", help="Make this one's model ready now.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="With --prepare: a local weights file (.h5).")
    ] = None,
) -> None:
    """List the networks that turn pictures into vectors.

    Example: pokesim embedders --prepare mobilenet_v2 --weights mobilenet_v2.h5
    """
    from pokesim.embedders import models
    from pokesim.show.text import embedder_table

    if weights and not prepare:
        raise UsageError("--weights goes with --prepare NAME.")
    if prepare:
        model = models.prepare(prepare, weights)
        print(f"{model.embedder} is ready: {model.path}")
    else:
        print(embedder_table(models.inventory()))


@app.command()
def info(index: IndexOption = DEFAULT_INDEX) -> None:
    """Say what an index is, when it was built, what was skipped.

    Example: pokesim info --index indexes/mine
    """
    from pokesim.index.snapshot import open_snapshot
    from pokesim.show.text import snapshot_text

    print(snapshot_text(index, open_snapshot(index)))


@app.command()
def add(
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="Pictures.")],
    index: IndexOption = DEFAULT_INDEX,
) -> None:
    """Add single pictures to an index, without a look at the others.

    Example: pokesim add new.jpg --index indexes/mine
    """
    from pokesim.index.edit import add_pictures

    _report(add_pictures(files, index))


@app.command()
def remove(
    names: Annotated[
        list[str], typer.Argument(metavar="LABEL|PATH", help="Labels or paths of pictures.")
    ],
    index: IndexOption = DEFAULT_INDEX,
) -> None:
    """Take pictures out of an index; their files stay.

    Building the index again takes up what is still in its folder.

    Example: pokesim remove brumbel --index indexes/mine
    """
    from pokesim.index.edit import remove_pictures

    report = remove_pictures(names, index)
    print(f"Removed {report.dropped:,} pictures; {index} has {report.indexed:,}.")


@app.command()
def check(
    index: IndexOption = DEFAULT_INDEX,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make a damaged index whole first.")
    ] = False,
) -> None:
    """Verify every byte of an index, its vectors and its embedder.

    Repairing returns to an older snapshot that is sound, or embeds the pictures again.

    Example: pokesim check --index indexes/mine
    """
    from pokesim.index.check import check_index
    from pokesim.index.repair import repair_index

    if repair:
        for line in repair_index(index):
            print(line)
    for line in check_index(index):
        print(line)
    print(f"{index} is sound.")


@app.command()
def evaluate(
    queries: Annotated[
        Path, typer.Argument(metavar="QUERIES", help="Folder of photos named by their labels.")
    ],
    index: IndexOption = DEFAULT_INDEX,
    labels: LabelsOption = Labels.AUTO,
    ks: Annotated[str, typer.Option("-k", help="The k of recall@k, with commas.")] = "1,5,10",
    form: Annotated[
        EvaluationFormat, typer.Option("--format", help="How the figures are written.")
    ] = EvaluationFormat.TABLE,
    misses: Annotated[
        Path | None, typer.Option(help="Draw the worst misses to a PNG or JPEG.")
    ] = None,
    compare: Annotated[
        list[Path] | None, typer.Option(help="Another index to line up; may be repeated.")
    ] = None,
) -> None:
    """Measure how often the right picture is among the first k.

    Figures are percent with 95 % bootstrap intervals; MRR is the mean reciprocal rank.

    Example: pokesim evaluate photos --index indexes/mine --misses misses.png
    """
    import json

    from pokesim import evaluate as measure
    from pokesim.show import text

    if misses:
        _check_ending("--misses", misses)
    if not all(part.strip().isdigit() for part in ks.split(",")):
        raise UsageError(f"-k takes numbers with commas, such as 1,5,10, not {ks}.")
    wanted = sorted({int(part) for part in ks.split(",")})
    found = [
        measure.evaluate_index(queries, one, labels=labels, ks=wanted)
        for one in [index, *(compare or [])]
    ]
    for skipped in found[0].skipped:
        _note(plain(f"skipped {skipped.path}: {skipped.reason}"))
    if unknown := found[0].unknown:
        total, some = sum(unknown.values()), ", ".join(sorted(unknown)[:5])
        _note(f"Not counted: {total} photos of {len(unknown)} labels not in the index ({some}, …).")
    if form is EvaluationFormat.JSON:
        print(json.dumps([text.evaluation_dict(one) for one in found], indent=1))
    else:
        print(text.evaluation_table(found))
    if misses:
        from pokesim.show.misses import save_misses

        drawn = save_misses(found[0].ranked, misses)
        _note(f"Drew {drawn} misses in {misses}." if drawn else "There are no misses to draw.")


@app.command()
def tune(
    labelled: Annotated[
        Path | None,
        typer.Argument(metavar="LABELLED", help="Folder of labelled pictures to learn from."),
    ] = None,
    index: IndexOption = DEFAULT_INDEX,
    dims: Annotated[int, typer.Option(min=1, help="Length of the new vectors, at most.")] = 256,
    labels: LabelsOption = Labels.AUTO,
    force: Annotated[
        bool, typer.Option("--force", help="Publish even if it does not help.")
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Return to the plain vectors instead.")
    ] = False,
) -> None:
    """Learn from labelled pictures which differences matter.

    Give a folder a label, or the same file stem in several folders.

    Example: pokesim tune labelled --index indexes/mine
    """
    from pokesim import tune as learn
    from pokesim.index.snapshot import open_snapshot
    from pokesim.show import text
    from pokesim.show.progress import progress_shown

    if reset == (labelled is not None):
        raise UsageError("Give a folder of labelled pictures, or --reset.")
    if labelled is None:
        learn.reset_index(index)
        print(f"{index} has its plain vectors again.")
        return
    with progress_shown("labelled pictures") as progress:
        tuning = learn.tune_index(
            labelled, index, dims=dims, labels=labels, force=force, progress=progress
        )
    print(text.tuning_text(tuning, open_snapshot(index).projection_shape()))


@app.command("sample-data")
def sample_data(
    directory: Annotated[Path, typer.Argument(help="Where images/ and photos/ are written.")],
) -> None:
    """Draw the sample pictures, and photos of some of them.

    Example: pokesim sample-data . && pokesim build-index && pokesim query photos/*.jpg
    """
    from pokesim.samples import write_samples

    try:
        samples = write_samples(directory)
    except OSError as error:
        told = f"{directory} cannot be written ({error.strerror or error})."
        raise PokesimError(told) from error
    print(f"Drew creatures in {samples.images} and photos of some of them in {samples.photos}.")


def main() -> None:
    """Run the command line."""
    if "--debug" not in sys.argv:
        _quiet_libraries()
    app()


def _quiet_libraries() -> None:
    """Keep what C libraries (libtiff, LiteRT, …) say to file descriptor 2 off standard error.

    Python's own ``sys.stderr`` goes on through a copy of the descriptor.
    """
    try:
        sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    except OSError:
        pass  # started without a standard error; there is nothing to keep clean


if __name__ == "__main__":
    main()
