"""One opened index answers in many threads at once, and while others publish or close it."""

import contextlib
import importlib.util
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support.indexes import index_of

import pokesim
from pokesim.embedders.catalog import Compute, Runtime
from pokesim.embedders.prepare import prepare_model
from pokesim.embedders.runtimes import open_embedder
from pokesim.errors import UsageError
from pokesim.images import pixels_of
from pokesim.search.matches import QueryOptions

THREADS = 8


def in_threads(calls: list[Callable[[], object]]) -> list[object]:
    """Make all calls, as many at once as there are threads, and return what they return."""
    start = threading.Barrier(THREADS)

    def run(own: list[Callable[[], object]]) -> list[object]:
        start.wait()
        return [call() for call in own]

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(run, [calls[at::THREADS] for at in range(THREADS)]))
    results: list[object] = [None] * len(calls)
    for at, own in enumerate(found):
        results[at::THREADS] = own
    return results


def plain(found: object) -> object:
    """Return what a call returned in a form that can be compared."""
    if isinstance(found, pokesim.Explanation):
        return found.photo.tobytes(), found.picture.tobytes(), found.similarity
    if isinstance(found, tuple):
        return [array.tobytes() for array in found]
    return found


@pytest.fixture(scope="module")
def described(index_path, samples, tmp_path_factory) -> Path:
    """An index of the samples with a table."""
    home = tmp_path_factory.mktemp("described")
    names = sorted(path.stem for path in samples.images.iterdir())
    rows = [f"{name},{'even' if at % 2 else 'odd'}" for at, name in enumerate(names)]
    (home / "kinds.csv").write_text("\n".join(["Name,Kind", *rows]))
    shutil.copytree(index_path, home / "index")
    pokesim.build_index(samples.images, home / "index", metadata=home / "kinds.csv")
    return home / "index"


@pytest.mark.parametrize("seed", range(2))
def test_all_calls_give_in_threads_what_they_give_alone(described, samples, seed):
    draw = random.Random(seed)
    photos = sorted(samples.photos.iterdir())
    pictures = sorted(samples.images.iterdir())
    vectors = np.random.default_rng(seed).standard_normal((9, 256)).astype(np.float32)

    def drawn() -> Callable[[pokesim.Index], object]:
        photo, picture = draw.choice(photos), draw.choice(pictures)
        some, k = draw.sample(photos, 3), draw.randint(1, 30)
        where = draw.choice([None, "Kind=odd", "Kind=even", "Kind != odd"])
        group = draw.random() < 0.3
        return draw.choice(
            [
                lambda index: index.query(photo, k, where=where, group=group, label="Kind"),
                lambda index: index.query(photo, k, where=where, exclude_self=True),
                lambda index: list(index.answer([*some, picture], k, where=where)),
                lambda index: index.search(vectors[: 1 + k % 9], k, where=where),
                lambda index: index.refresh().query(photo, k),
                lambda index: (index.embed_loaded([index.load(photo), index.load(picture)]),),
                lambda index: [index.metadata.row(k), index.items[k], index.count(where)],
                lambda index: [item.label for item in index.items],
                lambda index: index.explain(photo, picture) if k < 5 else index.explains,
            ]
        )

    calls = [drawn() for _ in range(32)]
    with pokesim.open_index(described) as alone:
        expected = [plain(call(alone)) for call in calls]
    with pokesim.open_index(described) as index:  # nothing is loaded yet: all do that at once
        found = in_threads([lambda call=call: plain(call(index)) for call in calls])
    assert found == expected


def test_both_networks_of_the_default_embedder_serve_many_threads(general, samples, tmp_path):
    photos = sorted(samples.photos.iterdir())[:12]
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for path in sorted(samples.images.iterdir())[:10]:
        shutil.copy(path, pictures)
    pokesim.build_index(pictures, tmp_path / "index")
    with pokesim.open_index(tmp_path / "index") as alone:
        expected = [alone.query(photo) for photo in photos]
        explained = plain(alone.explain(photos[0], photos[1]))
    with pokesim.open_index(tmp_path / "index") as index:
        assert index.manifest.embedder.name == general.name
        calls = [lambda photo=photo: index.query(photo) for photo in 2 * photos]
        calls += [lambda: plain(index.explain(photos[0], photos[1]))] * 4
        found = in_threads(calls)
    assert found == 2 * expected + 4 * [explained]


@pytest.mark.parametrize("runtime", [Runtime.LITERT, Runtime.OPENVINO])
def test_an_embedder_serves_many_threads(runtime, samples):
    if runtime is Runtime.OPENVINO and importlib.util.find_spec("openvino") is None:
        pytest.skip("OpenVINO has no wheel for this machine")
    embedder = open_embedder(prepare_model("compact"), Compute(runtime))
    photos = sorted(samples.photos.iterdir())[:6]
    pixels = np.stack([pixels_of(path, embedder.side) for path in photos])
    batches = [pixels[at : at + size] for size in (1, 2, 5) for at in range(len(pixels))]
    expected = [embedder.embed(batch).tobytes() for batch in batches]
    found = in_threads([lambda one=one: embedder.embed(one).tobytes() for one in 2 * batches])
    assert found == 2 * expected


def test_readers_follow_an_index_that_is_built_meanwhile(index_path, samples, tmp_path):
    shutil.copytree(index_path, tmp_path / "index")
    photos = sorted(samples.photos.iterdir())[:8]
    extra = tmp_path / "extra.jpg"
    shutil.copy(photos[0], extra)
    with pokesim.open_index(tmp_path / "index") as before:
        count = len(before)
        expected = {count: [before.query(photo) for photo in photos]}
    pokesim.add_pictures([extra], tmp_path / "index")
    with pokesim.open_index(tmp_path / "index") as after:
        expected[count + 1] = [after.query(photo) for photo in photos]
    finished = threading.Event()

    def publish() -> None:
        try:
            for _ in range(3):
                pokesim.remove_pictures([extra], tmp_path / "index")
                pokesim.add_pictures([extra], tmp_path / "index")
        finally:
            finished.set()

    shared = [pokesim.open_index(tmp_path / "index")]

    def follow() -> int:
        answered = 0
        while not finished.is_set() or not answered:
            index = shared[0] = shared[0].refresh()
            at = answered % len(photos)
            found, right = index.query(photos[at]), expected[len(index)][at]
            assert [match.label for match in found] == [match.label for match in right]
            # An indexed photo's vector was embedded in another batch.
            distances = [[match.distance for match in some] for some in (found, right)]
            np.testing.assert_allclose(*distances, atol=1e-5)
            answered += 1
        return answered

    publisher = threading.Thread(target=publish)
    publisher.start()
    answered = in_threads([follow] * THREADS)
    publisher.join()
    assert all(answered)
    assert len(shared[0].refresh()) == count + 1


@pytest.mark.parametrize("search", ["flat", "pca", "IVF4,Flat"])
def test_an_index_can_be_closed_while_others_search(tmp_path, search):
    rows = np.random.default_rng(0).standard_normal((3000, 24)).astype(np.float32)
    index_of(tmp_path / "i", rows, search).close()

    def use_forever(index: pokesim.Index, expected: object) -> None:
        while True:
            assert plain(index.search(rows[:50], 9)) == expected
            assert index.vectors([7]).shape == (1, 24)
            assert index.items[7].label == "7"

    for _ in range(4):
        index = pokesim.open_index(tmp_path / "i")
        expected = plain(index.search(rows[:50], 9))
        began = threading.Barrier(THREADS)

        def use(index=index, expected=expected, began=began) -> None:
            began.wait()
            with pytest.raises(UsageError, match="is closed; open"):
                use_forever(index, expected)

        def close(index=index, began=began) -> None:
            began.wait()
            index.search(rows[:2], 3)
            index.close()

        in_threads([close, *[use] * (THREADS - 1)])
        assert not _open_files(tmp_path)


def test_an_iteration_that_has_begun_delays_the_closing(index_path, samples, tmp_path):
    photos = sorted(samples.photos.iterdir())[:40]
    path = shutil.copytree(index_path, tmp_path / "index")  # no other test has its files open
    with pokesim.open_index(path) as alone:
        expected = list(alone.answer(photos))
    index = pokesim.open_index(path)
    answers, blocks = index.answer(photos), index.blocks()
    first, unused = next(answers), index.answer(photos)
    index.close()
    assert [first, *answers] == expected
    assert not _open_files(path)
    for late in (blocks, unused):
        with pytest.raises(UsageError, match="is closed"):
            next(late)
    given_up = pokesim.open_index(path)
    answers = given_up.answer(photos)
    next(answers)
    given_up.close()
    del answers
    assert not _open_files(path)


CALLS_AFTER_CLOSE = {
    "query": lambda index: index.query("photo.jpg"),
    "query a list": lambda index: index.query(["photo.jpg"]),
    "answer": lambda index: index.answer(["photo.jpg"]),
    "answer_words": lambda index: index.answer_words("dog"),
    "mixed": lambda index: index.mixed("a", np.ones(256, np.float32), [], []),
    "matches": lambda index: index.matches(np.zeros((1, 256)), QueryOptions()),
    "label_of": lambda index: index.label_of(None),
    "path_of": lambda index: index.path_of(None),
    "embed_photos": lambda index: index.embed_photos(["photo.jpg"]),
    "load": lambda index: index.load("photo.jpg"),
    "embed_loaded": lambda index: index.embed_loaded([]),
    "embed": lambda index: index.embed("photo.jpg"),
    "embed_pixels": lambda index: index.embed_pixels(np.zeros((1, 96, 96, 3), np.uint8)),
    "paths": lambda index: index.paths,
    "labels": lambda index: index.labels,
    "to_records": lambda index: index.to_records(),
    "search": lambda index: index.search(np.zeros(256)),
    "select": lambda index: index.select("Kind=odd"),
    "count": lambda index: index.count(None),
    "items": lambda index: index.items,
    "metadata": lambda index: index.metadata,
    "vectors": lambda index: index.vectors([0]),
    "blocks": lambda index: index.blocks(),
    "explain": lambda index: index.explain("photo.jpg", "photo.jpg"),
    "explains": lambda index: index.explains,
    "refresh": lambda index: index.refresh(),
}


def test_a_closed_index_says_so(described):
    with pokesim.open_index(described) as index:
        items = index.items
        assert items[0].id == 0
        index.close()
        for call in CALLS_AFTER_CLOSE.values():
            with pytest.raises(UsageError, match="is closed; open it again"):
                call(index)
        for call in (lambda: items[0], lambda: list(items), lambda: items.find("0" * 64)):
            with pytest.raises(UsageError, match="is closed; open"):
                call()
        assert len(index) == index.manifest.count
    index.close()  # twice is fine


def test_every_public_method_of_an_index_is_called_above():
    public = {name for name in dir(pokesim.Index) if not name.startswith("_")}
    assert public - {"close"} <= CALLS_AFTER_CLOSE.keys()


NOISE = """
import os, sys, threading
from pathlib import Path
import numpy as np
from pokesim.embedders.litert import LiteRTEmbedder

def load():
    for size in (1, 2, 3):
        embedder = LiteRTEmbedder(Path(sys.argv[1]))
        embedder.embed(np.zeros((size, embedder.side, embedder.side, 3), np.uint8))

threads = [threading.Thread(target=load) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
os.write(2, b"still here")
"""


def test_loading_in_many_threads_keeps_standard_error():
    model = prepare_model("compact").path
    done = subprocess.run([sys.executable, "-c", NOISE, model], capture_output=True, check=True)
    assert done.stderr == b"still here"


def _open_files(folder: Path) -> list[Path]:
    """Return the files below a folder that this process has open; none where that is not known."""
    found = []
    for link in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):
            found.append(link.readlink())
    return [path for path in found if path.is_relative_to(folder)]
