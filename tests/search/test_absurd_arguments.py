"""Public functions with absurd arguments: a sentence of ours, and never the end of the process."""

import inspect
import math
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.indexes import index_of

import pokesim
from pokesim.errors import PokesimError, UsageError
from pokesim.search.matches import Answer, QueryOptions

HUGE = 2**70

ANYTHING = [
    *(None, True, -1, 0, HUGE, math.nan, math.inf),
    *("", "zz", "a\0b", b"zz", [], {}, object(), Path("no")),
]


@pytest.fixture(scope="module")
def photo(samples) -> Path:
    return sorted(samples.photos.iterdir())[0]


@pytest.mark.parametrize(
    "k", [0, -1, True, 1.0, "5", None, math.nan, [1], np.float32(2), np.array([1, 2])]
)
def test_k_is_a_whole_number_from_1(index, photo, k):
    for call in (
        lambda: index.query(photo, k),
        lambda: list(index.answer([photo], k)),
        lambda: index.search(np.zeros(256), k),
    ):
        with pytest.raises(UsageError, match=r"^k must be "):
            call()


@pytest.mark.parametrize("k", [np.int8(3), np.int64(3), np.uint64(3), np.array(3)])
def test_whole_numbers_of_numpy_are_whole_numbers(index, photo, k):
    assert index.query(photo, k) == index.query(photo, 3)
    assert index.search(np.zeros(256), k)[1].shape == (1, 3)
    assert index.items[np.int64(7)] == index.items[7]


@pytest.mark.parametrize("k", [2**31, 2**63 - 1, 2**63, HUGE])
@pytest.mark.parametrize("options", [{}, {"group": True, "label": "folder"}, {"group": True}])
def test_a_huge_k_returns_all(index, photo, k, options):
    assert index.query(photo, k, **options) == index.query(photo, len(index), **options)
    assert index.search(np.zeros(256), k)[1].shape == (1, len(index))


@pytest.mark.parametrize("threshold", [math.nan, math.inf, -math.inf, "1", True, [1], 10**400])
def test_thresholds_are_finite(index, index_path, photo, threshold):
    for name in ("max_distance", "min_similarity"):
        with pytest.raises(UsageError, match=rf"^{name} must be a finite number"):
            index.query(photo, **{name: threshold})
    with pytest.raises(UsageError, match=r"^The threshold must be"):
        pokesim.find_duplicates(index_path, threshold=threshold)


def test_thresholds_may_be_any_number(index, photo):
    for one in (1, np.float32(1), np.int64(1)):
        assert index.query(photo, max_distance=one) == index.query(photo, max_distance=1.0)
        assert index.query(photo, min_similarity=one) == index.query(photo, min_similarity=1.0)


@pytest.mark.parametrize(
    "ids",
    [[-1], [157, 10**6], [2**31], [2**63], [HUGE], [-(2**63)], 0, None, "0", ["0"], [0.0], [True],
     [[0]], [[0], [1, 2]], [None], [math.nan], b"0", {0}, np.zeros((0, 2), int), np.array(["x"]),
     np.array([2**63], np.uint64)],
)  # fmt: skip
def test_only_ids_of_the_index_have_vectors(index, ids):
    with pytest.raises(UsageError, match=r"^(Ids must be|There is no id)"):
        index.vectors(ids)


@pytest.mark.parametrize("ids", [[], (), [0, 0, 3], np.array([3], np.uint8), np.arange(9)[::2]])
def test_lists_and_arrays_of_ids_have_vectors(index, ids):
    whole = np.concatenate(list(index.blocks()))
    np.testing.assert_array_equal(index.vectors(ids), whole[np.asarray(ids, int)])


@pytest.mark.parametrize("search", ["flat", "pca", "IVF4,Flat", "HNSW8"])
@pytest.mark.parametrize(
    "xq",
    [math.nan, math.inf, 3e38, 1e39, np.nan, None, "x", ["x"] * 4, [[1, 2], [3]], np.zeros(5),
     np.zeros((2, 2, 4)), np.zeros((4, 0)), [], [1, 2, 3, 1e200], [1, 2, 3, HUGE**9], object(),
     np.zeros(4, complex) + 1j],
)  # fmt: skip
def test_query_vectors_are_finite_numbers_of_the_dimension(tmp_path_factory, search, xq):
    opened = _small(tmp_path_factory, search)
    if isinstance(xq, float):
        xq = [0, xq, 0, 0]
    with pytest.raises(UsageError, match=r"^Query vectors must be"):
        opened.search(xq)
    with pytest.raises(UsageError, match=r"^Query vectors must be"):
        opened.matches(xq, QueryOptions())


@pytest.mark.parametrize("search", ["flat", "pca", "IVF4,Flat", "HNSW8"])
def test_no_queries_have_no_neighbours(tmp_path_factory, search):
    opened = _small(tmp_path_factory, search)
    D, I = opened.search(np.zeros((0, 4)), 3)
    assert (D.shape, I.shape) == ((0, 3), (0, 3))
    assert list(opened.matches(np.zeros((0, 4)), QueryOptions())) == []
    large = opened.search(np.full((2, 4), 1e15), 3)
    assert np.isfinite(large[0]).all()


_OPENED: dict[str, pokesim.Index] = {}


def _small(tmp_path_factory: pytest.TempPathFactory, search: str) -> pokesim.Index:
    """Return an index of 400 vectors of dimension 4, built on first use."""
    if search not in _OPENED:
        rows = np.random.default_rng(0).standard_normal((400, 4)).astype(np.float32)
        _OPENED[search] = index_of(tmp_path_factory.mktemp("small"), rows, search)
    return _OPENED[search]


def test_stored_vectors_may_be_of_any_size(tmp_path):
    """Where float32 overflows in FAISS, float64 still decides."""
    rows = np.eye(30, 4, dtype=np.float32)
    rows[5] = [3e38, -3e38, 3e38, 3e38]
    rows[6] = 1e25
    with index_of(tmp_path / "i", rows, "flat") as opened:
        D, I = opened.search(rows[:1], 30)
        assert sorted(I[0]) == list(range(30))
        assert I[0][-2:].tolist() == [6, 5]
        assert np.isfinite(D).all()


@pytest.mark.parametrize(
    "pixels",
    [None, 5, "x", [], [[1]], np.zeros((1, 96, 96, 3)), np.zeros((1, 96, 96, 3), np.int64),
     np.zeros((96, 96, 3), np.uint8), np.zeros((1, 95, 96, 3), np.uint8),
     np.zeros((1, 96, 96, 4), np.uint8), np.zeros((1, 0, 0, 3), np.uint8), np.zeros(0, np.uint8),
     np.zeros((1, 96, 96, 3), object)],
)  # fmt: skip
def test_pixels_have_the_side_of_the_embedder(index, pixels):
    with pytest.raises(UsageError, match=r"^Pixels must be"):
        index.embed_pixels(pixels)


def test_pixels_may_be_any_view_of_an_array(index):
    side = index.manifest.embedder.side
    assert index.embed_pixels(np.zeros((0, side, side, 3), np.uint8)).shape == (0, 256)
    wide = np.random.default_rng(0).integers(0, 256, (2, 2 * side, side, 6), np.uint8)
    view = wide[::-1, ::2, :, 1::2]
    np.testing.assert_array_equal(index.embed_pixels(view), index.embed_pixels(view.copy()))


OPTIONS = ["where", "label", "group", "exclude_self"]


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("value", [5, b"x", ["x"], {}, math.nan, object()])
def test_options_have_their_types(index, photo, name, value):
    with pytest.raises(UsageError, match=rf"^{name} must be"):
        index.query(photo, **{name: value})


SOURCES = [None, 5, math.nan, "", "a\0b", "x" * 5000, b"", b"x", [], {}, object(), Path("no")]


@pytest.mark.parametrize("at", range(len(SOURCES)))
def test_what_is_no_picture_is_a_picture_error(index, at):
    source = SOURCES[at]
    if source == []:
        assert index.query(source) == []
        return
    for call in (index.query, index.load, partial(index.explain, picture=Image.new("L", (9, 9)))):
        with pytest.raises(PokesimError):
            call(source)
    (answer,) = index.answer([source])
    assert isinstance(answer.error, PokesimError)


INDEX_CALLS = {
    "answer": lambda index, bad: list(index.answer(bad)),
    "embed_photos": lambda index, bad: list(index.embed_photos(bad)),
    "embed_loaded": lambda index, bad: index.embed_loaded(bad),
    "embed_loaded of one": lambda index, bad: index.embed_loaded([bad]),
    "matches": lambda index, bad: list(index.matches(np.zeros((1, 256)), bad)),
    "label_of": lambda index, bad: index.label_of(index.items[0], bad),
    "select": lambda index, bad: index.select(bad),
    "count": lambda index, bad: index.count(bad),
}


@pytest.mark.parametrize("name", INDEX_CALLS)
@pytest.mark.parametrize("at", range(len(ANYTHING)))
def test_methods_of_an_index_return_or_raise_our_errors(index, name, at):
    _fails_as_documented(lambda: INDEX_CALLS[name](index, ANYTHING[at]))


@pytest.fixture
def home(index_path, samples, tmp_path, monkeypatch) -> Path:
    """A folder of two pictures, their index, and two photos; it is the current folder."""
    (tmp_path / "images").mkdir()
    (tmp_path / "photos").mkdir()
    for name in ("brumbel", "tuffkin"):
        shutil.copy(samples.images / f"{name}.webp", tmp_path / "images")
        shutil.copy(samples.images / f"{name}.webp", tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    pokesim.build_index("images", "index", embedder="compact")
    return tmp_path


STOPPED = threading.Event()
STOPPED.set()

FUNCTIONS = {
    pokesim.open_index: {"path": "index"},
    pokesim.build_index: {"images": "images", "index": "index"},
    pokesim.add_pictures: {"files": ["photos/brumbel.webp"], "index": "index"},
    pokesim.remove_pictures: {"names": ["nobody"], "index": "index"},
    pokesim.evaluate_index: {"queries": "photos", "index": "index"},
    pokesim.find_duplicates: {"index": "index"},
    pokesim.move_extras: {"groups": [], "index": "index", "folder": "moved"},
    pokesim.undo_moves: {"file": "index/CURRENT"},
    pokesim.tune_index: {"labelled": "photos", "index": "index"},
    pokesim.reset_index: {"index": "index"},
    pokesim.check_index: {"index": "index"},
    pokesim.repair_index: {"index": "index"},
    pokesim.fetch_dataset: {"source": "nowhere", "folder": "new"},
    pokesim.write_samples: {"directory": "samples"},
    pokesim.push_index: {"index": "index", "address": "nowhere"},
    pokesim.pull_index: {"index": "new", "address": "nowhere"},
    pokesim.watch_folder: {"images": "images", "index": "index", "stop": STOPPED},
    pokesim.report: {"answers": [Answer("a.jpg", b"", [], 0)], "path": "report.html"},
    pokesim.map_index: {"index": "index", "path": "map.html", "method": "pca"},
}
"""The public functions, with arguments that are good or refused after all others are checked."""

NOT_DATA = {"progress", "workers", "stop", "options"}
"""Callables, and what `open_workers` gives: any other object fails when it is called."""


def test_all_public_functions_are_called_here():
    public = [getattr(pokesim, name) for name in pokesim.__all__]
    functions = {one for one in public if inspect.isfunction(one)}
    assert functions - {pokesim.open_workers, pokesim.card} <= FUNCTIONS.keys()


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_functions_return_or_raise_our_errors(home, general, function):
    good = FUNCTIONS[function]
    for name in inspect.signature(function).parameters.keys() - NOT_DATA:
        for bad in ANYTHING:
            _fails_as_documented(lambda: function(**good | {name: bad}))  # noqa: B023
    assert {path.name for path in home.iterdir()} >= {"images", "photos", "index"}


@pytest.mark.parametrize("where", [None, "", 0, -1, True, 1.5, "zz", "a:b", [], b"1"])
def test_workers_are_a_number_or_an_address(where):
    with pytest.raises(UsageError), pokesim.open_workers(where):
        pass


def test_what_is_wrong_is_said(home):
    for call, message in {
        (lambda: pokesim.evaluate_index("photos", "index", labels="zz")):
            "labels must be one of auto, stem, folder, not 'zz'.",
        (lambda: pokesim.evaluate_index("photos", "index", ks=[1, True])):
            "Every k must be a whole number, not True.",
        (lambda: pokesim.tune_index("photos", "index", dims=2.5)):
            "dims must be a whole number, not 2.5.",
        (lambda: pokesim.build_index("images", "index", metadata=True)):
            "The table must be a path, not True.",
        (lambda: pokesim.open_index("a\0b")):
            "The index must be a path without null characters, not 'a\\x00b'.",
    }.items():  # fmt: skip
        with pytest.raises(UsageError) as raised:
            call()
        assert str(raised.value) == message


def test_an_index_of_one_picture_can_be_analysed(home):
    (home / "images" / "brumbel.webp").unlink()
    pokesim.build_index("images", "index")
    (home / "photos" / "brumbel.webp").unlink()
    Image.open("photos/tuffkin.webp").convert("L").save("photos/tuffkin.png")
    found = pokesim.evaluate_index("photos", "index")
    assert [one.rank for one in found.ranked] == [1]
    assert pokesim.find_duplicates("index") == []
    assert len(pokesim.map_index("index").pictures) == 1


def _fails_as_documented(call: Callable[[], object]) -> None:
    """Make a call, which may succeed; an error must be ours, in one line."""
    try:
        found = call()
        if inspect.isgenerator(found):
            list(found)
        if isinstance(found, pokesim.Index):
            found.close()
    except PokesimError as error:
        message = str(error)
    else:
        return
    assert "\n" not in message
    assert len(message) < 600
