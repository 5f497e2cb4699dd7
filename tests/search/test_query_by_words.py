"""Pictures by words: the nearest to any class of a word, exactly; on the command line too."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.indexes import index_of
from support.paths import SHARED

import pokesim
from pokesim.embedders.words.vectors import word_vectors
from pokesim.errors import CombinationError, UsageError
from pokesim.metric import Projection, normalized
from pokesim.samples import PHOTOGRAPHED
from pokesim.search.matches import QueryOptions

TABLE = "name,Kind\n" + "".join(f"{name},{name[0] < 'h'}\n" for name in PHOTOGRAPHED)


@pytest.fixture(scope="module")
def folder(samples, general, tmp_path_factory):
    """An index of some pictures and photos of the same creatures, with a table."""
    root = tmp_path_factory.mktemp("words")
    for kind, source in (("drawn", samples.images), ("photographed", samples.photos)):
        (root / "images" / kind).mkdir(parents=True)
        for name in PHOTOGRAPHED[:12]:
            (path,) = source.glob(f"{name}.*")
            shutil.copy(path, root / "images" / kind)
    (root / "table.csv").write_text(TABLE)
    pokesim.build_index(root / "images", root / "index", metadata=root / "table.csv")
    return root / "index"


@pytest.fixture(scope="module")
def index(folder):
    with pokesim.open_index(folder) as opened:
        yield opened


def expected(index, queries, kept=None):
    """Ids and distances by brute force, in float64."""
    ids = np.arange(len(index)) if kept is None else np.array(kept)
    x = index.vectors(ids).astype(np.float64)
    distances = np.linalg.norm(x[:, None] - queries.astype(np.float64)[None], axis=2).min(axis=1)
    order = np.lexsort((ids, distances))
    return ids[order], distances[order]


@pytest.mark.parametrize("word", ["golden retriever", "dog", "Butterflies"])
def test_the_matches_are_the_nearest_to_any_class_of_the_word(index, general, word):
    ids, distances = expected(index, word_vectors(general, word))
    matches = index.query(words=word, k=7)
    assert [match.id for match in matches] == ids[:7].tolist()
    assert [match.rank for match in matches] == [*range(1, 8)]
    np.testing.assert_allclose([match.distance for match in matches], distances[:7], atol=1e-9)
    assert {match.resembles for match in matches} == {None}
    assert [match.id for match in index.query(words=word, k=1000)] == ids.tolist()


def test_filters_groups_and_thresholds_apply(index, general):
    kept = index.select("Kind=True")
    ids, distances = expected(index, word_vectors(general, "dog"), kept)
    assert [one.id for one in index.query(words="dog", k=5, where="Kind=True")] == ids[:5].tolist()
    near = index.query(words="dog", k=99, where="Kind=True", max_distance=float(distances[2]))
    assert [one.id for one in near] == ids[:3].tolist()
    ids, _ = expected(index, word_vectors(general, "dog"))
    labels = [index.items[int(one)].label for one in ids]
    groups = index.query(words="dog", k=3, group=True)
    assert [one.label for one in groups] == [*dict.fromkeys(labels)][:3]
    assert [one.id for one in groups] == [int(ids[labels.index(one.label)]) for one in groups]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 8), st.integers(1, 70))
def test_the_nearest_to_any_of_several_vectors_are_exact(tmp_path_factory, seed, count, several, k):
    rng = np.random.default_rng(seed)
    xb = rng.integers(-2, 3, (count, 3)).astype(np.float32)  # many ties
    xq = rng.integers(-2, 3, (several, 3)).astype(np.float32)
    with index_of(tmp_path_factory.mktemp("any") / "index", xb) as index:
        ids, distances = expected(index, xq)
        opened = index._shared._resource
        found = opened.matcher.matches_of_any(xq, QueryOptions(k), opened.views.of(None))
        assert [one.id for one in found] == ids[:k].tolist()
        np.testing.assert_allclose([one.distance for one in found], distances[:k])


def test_a_learned_metric_projects_words_too(folder, general, samples, tmp_path):
    own = shutil.copytree(folder, tmp_path / "own")
    pokesim.tune_index(samples.photos, own, force=True, dims=8)
    (projection,) = own.glob("snapshots/*/projection.npy")
    with pokesim.open_index(own) as index:
        queries = Projection.load(projection).apply(word_vectors(general, "dog"))
        ids, _ = expected(index, queries)
        assert [one.id for one in index.query(words="dog", k=4)] == ids[:4].tolist()


@pytest.mark.parametrize("normalize", [True, False])
def test_a_network_alone_knows_words_if_its_vectors_have_length_1(
    general, samples, tmp_path, normalize
):
    few = tmp_path / "images"
    few.mkdir()
    for name in PHOTOGRAPHED[:3]:
        shutil.copy(samples.photos / f"{name}.jpg", few)
    made = {"embedder": "efficientnet_lite0", "normalize": normalize}
    pokesim.build_index(few, tmp_path / "index", **made)
    with pokesim.open_index(tmp_path / "index") as index:
        if normalize:
            ids, _ = expected(index, word_vectors(index.manifest.embedder, "teddy"))
            assert [one.id for one in index.query(words="teddy")] == ids.tolist()
        else:
            with pytest.raises(UsageError, match="build it again with --normalize --rebuild"):
                index.query(words="teddy")


@pytest.mark.parametrize(
    "options",
    [
        {"words": "dog", "crop": "0,0,9,9"},
        {"words": "dog", "exclude_self": True},
        {"words": 7},
        {"words": " "},
        {"words": ("dog", -1)},
        {"words": "zebraa"},
        {"negative_words": "dog"},
        {},
    ],
)
def test_what_makes_no_sense_with_words_is_a_usage_error(index, options):
    with pytest.raises(UsageError):
        index.query(**options)


def mean_of(rows):
    return normalized(rows.mean(axis=0, keepdims=True).astype(np.float64))[0]


def test_words_and_photos_count_alike_in_a_mix(index, general, samples):
    """Brute force: a sum, with words as loud as photos."""
    photo = samples.photos / f"{PHOTOGRAPHED[20]}.jpg"
    other = samples.images / f"{PHOTOGRAPHED[30]}.webp"
    p, o = index.embed([photo, other]).astype(np.float64)
    w, v = (mean_of(word_vectors(general, word)) for word in ("dog", "zebra"))
    xb = index.vectors(np.arange(len(index))).astype(np.float64)

    def spread(row):
        return (xb @ row).std()

    def best(total):
        return np.argsort(-xb @ total, kind="stable")[:7].tolist()

    def ids(matches):
        return [match.id for match in matches]

    loud = spread(p) / spread(w)
    assert loud > 1.2
    found = index.query(photo, words="dog", k=7)
    assert ids(found) == best(p + loud * w)
    assert found[0].similarity == pytest.approx(
        100 * (xb[found[0].id] @ (p + loud * w)) / np.linalg.norm(p + loud * w), abs=1e-3
    )
    assert ids(index.query(photo, words=[("dog", 2)], negative_words="zebra", k=7)) == best(
        p + 2 * loud * w - spread(p) / spread(v) * v
    )
    alone = index.query(words=("dog", 0.5), negative=[other], negative_words=["zebra"], k=7)
    assert ids(alone) == best(0.5 * w - v - spread(w) / spread(o) * o)
    assert {match.resembles for match in alone} == {None}
    (answer,) = index.answer([photo], words="dog", negative_words=[("zebra", 2)])
    assert [(one.query, one.photo, one.weight) for one in answer.others] == [
        ("dog", None, 1.0),
        ("zebra", None, -2.0),
    ]
    with pytest.raises(CombinationError, match='"dog": given twice'):
        index.query(words=["dog", "dog"])


def test_the_command_line_mixes_words_and_photos(run, folder, samples, tmp_path):
    photo = samples.photos / f"{PHOTOGRAPHED[0]}.jpg"
    words = ("--words", "2:golden retriever", "--without-words", "zebra")
    files = ("--save", "card.png", "--html", "page.html")
    mixed = run("query", photo, *words, "-i", folder, *files, "--format", "json")
    assert (mixed.returncode, mixed.stderr) == (0, "")
    (answer,) = json.loads(mixed.stdout)
    assert answer["with"] == [{"words": "golden retriever", "weight": 2.0}]
    assert answer["without"] == [{"words": "zebra", "weight": 1.0}]
    with pokesim.open_index(folder) as index:
        expected = index.query(photo, words=("golden retriever", 2), negative_words="zebra")
    assert [one["path"] for one in answer["matches"]] == [str(one.path) for one in expected]
    assert "+ 2 × &quot;golden retriever&quot;" in (tmp_path / "page.html").read_text()
    alone = run("query", *words, "--without", f"0.5:{photo}", "-i", folder)
    mix = f'"golden retriever" − 0.5 × "zebra" − 0.25 × {photo} '
    assert alone.stdout.startswith(f"Nearest to the words {mix.strip()}: ")


def test_the_command_line_finds_shows_and_copies(run, folder, tmp_path):
    command = ("query", "--words", "dogs", "-i", folder, "-k", "3")
    files = ("--save", "card.png", "--html", "page.html", "--copy-to", "found")
    table = run(*command, *files)
    assert (table.returncode, table.stderr) == (0, "Copied 3 pictures to found.\n")
    assert table.stdout.startswith('Nearest to the word "dogs": ')
    with Image.open(tmp_path / "card.png") as card:
        assert card.size == (1200, 630)
    page = (tmp_path / "page.html").read_text()
    assert "<h1>Nearest to the word &quot;dogs&quot;</h1>" in page
    assert "similar" not in page.split("<main>")[1]
    (answer,) = json.loads(run(*command, "--format", "json").stdout)
    assert answer["words"] == "dogs"
    assert answer["verdict"] == "nearest to the word"
    assert "resembles" not in answer
    copied = sorted(path.name for path in (tmp_path / "found").iterdir())
    assert [name.split(" ")[0] for name in copied] == ["01", "02", "03"]
    assert len(answer["matches"]) == 3


def test_the_command_line_says_what_is_wrong_and_lists_the_words(run, folder, index_path):
    listed = run("query", "--words", "list")
    assert listed.returncode == 0
    assert listed.stdout.startswith("Animals\n  alligator, ")
    assert "\nOther things\n  abacus, " in listed.stdout
    assert run("query", "--words").stdout == listed.stdout
    for args, message in (
        (("dog", "-i", index_path), "compact knows no words; general, general_lite2, "),
        (("dog", "--crop", "0,0,9,9"), "--folder-as-query, --crop and --exclude-self need a PHOTO"),
        (("gutar", "-i", folder), 'The word "gutar" is not known. Did you mean guitar, '),
    ):
        done = run("query", "--words", *args)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"pokesim: {message}" in done.stderr


@pytest.mark.skipif(not (SHARED / "data/photos").is_dir(), reason="needs photographs of shared")
def test_photographs_are_found_by_words(general, tmp_path):
    """The five nearest among six photographs of each of six kinds."""
    kinds = {
        "chain saw": "imagenette/chain_saw",
        "parachute": "imagenette/parachute",
        "dog": "imagenette/english_springer",
        "airplane": "caltech101/airplanes",
        "piano": "caltech101/grand_piano",
        "pizza": "caltech101/pizza",
    }
    for kind in kinds.values():
        (tmp_path / "images" / kind).mkdir(parents=True)
        for path in sorted((SHARED / "data/photos" / kind).iterdir())[:6]:
            shutil.copy(path, tmp_path / "images" / kind)
    pokesim.build_index(tmp_path / "images", tmp_path / "index")
    with pokesim.open_index(tmp_path / "index") as index:
        right = [
            match.path.parent.name == kind.split("/")[1]
            for word, kind in kinds.items()
            for match in index.query(words=word, k=5)
        ]
    assert np.mean(right) >= 0.9
