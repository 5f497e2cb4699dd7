"""Query options: labels, groups, thresholds, and leaving out the photo itself."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pokesim
from pokesim.index.folder.reader import SnapshotReader
from pokesim.samples import CREATURES
from pokesim.search.resemblance import sample_ids

KINDS = ("furry", "scaly", "wet")


@pytest.fixture(scope="module")
def kinds(index_path, samples, tmp_path_factory):
    """An index of the samples, half of them with a kind."""
    home = tmp_path_factory.mktemp("kinds")
    rows = [f"{name},{KINDS[at % 3]}" for at, name in enumerate(CREATURES[::2])]
    (home / "kinds.csv").write_text("\n".join(["Name,Kind", *rows]))
    shutil.copytree(index_path, home / "index")
    report = pokesim.build_index(samples.images, home / "index", metadata=home / "kinds.csv")
    assert report.embedded == 0
    return home / "index"


@pytest.fixture(scope="module")
def ranked(kinds, samples):
    """This index, opened, and its full rankings for ten photos."""
    index = pokesim.open_index(kinds)
    photos = sorted(samples.photos.iterdir())[:10]
    return index, dict(zip(photos, index.query(photos, k=len(index)), strict=True))


def label_of(match, how):
    if how == "folder":
        return match.path.parent.name
    return (match.metadata["Kind"] if how == "Kind" else None) or match.label


@settings(max_examples=200, deadline=None)
@given(
    photo=st.integers(0, 9),
    k=st.integers(1, 90),
    label=st.sampled_from(["stem", "folder", "Kind"]),
    kind=st.sampled_from([None, *KINDS]),
    farthest=st.sampled_from([None, 0.0, 0.8, 1.0, 1.2]),
    least=st.sampled_from([None, 0.0, 20.0, 50.0]),
)
def test_groups_and_thresholds_agree_with_the_full_ranking(
    ranked, photo, k, label, kind, farthest, least
):
    index, rankings = ranked
    path, ranking = list(rankings.items())[photo]
    left = [
        match
        for match in ranking
        if (kind is None or match.metadata["Kind"] == kind)
        and (farthest is None or match.distance <= farthest)
        and (least is None or match.similarity >= least)
    ]
    where = f"Kind={kind}" if kind else None
    options = {"where": where, "label": label, "max_distance": farthest, "min_similarity": least}
    matches = index.query(path, k, **options)
    assert [(one.path, one.label) for one in matches] == [
        (one.path, label_of(one, label)) for one in left[:k]
    ]
    labels = list(dict.fromkeys(label_of(one, label) for one in left))
    groups = index.query(path, k, group=True, **options)
    assert [one.label for one in groups] == labels[:k]
    end = next((at for at, one in enumerate(left) if label_of(one, label) in labels[k:]), None)
    before = left[:end]
    for rank, group in enumerate(groups, 1):
        own = [one for one in before if label_of(one, label) == group.label]
        assert (group.rank, group.path, group.near) == (rank, own[0].path, len(own))


def test_groups_in_every_format(run, ranked, kinds, samples):
    _, rankings = ranked
    photo = next(iter(rankings))
    args = ["query", photo, "--index", kinds, "--group", "--label-by", "Kind"]
    found = json.loads(run(*args, "-k", "2", "--format", "json").stdout)[0]["matches"]
    assert list(found[0]) == [
        "rank", "label", "path", "distance", "similarity", "near", "metadata",
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(run(*args, "-k", "2", "--format", "csv").stdout)))
    assert [int(row["near"]) for row in rows] == [match["near"] for match in found]
    assert run(*args, "-k", "2").stdout.splitlines()[1].split()[3:5] == ["near", "Name"]


def test_a_query_fetches_each_vector_once(kinds, samples, monkeypatch):
    calls, vectors = [], SnapshotReader.vectors

    def counted(reader, ids):
        calls.append(list(ids))
        return vectors(reader, ids)

    monkeypatch.setattr(SnapshotReader, "vectors", counted)
    with pokesim.open_index(kinds) as index:
        index.query(next(samples.photos.iterdir()), k=5)
        sample = sample_ids(len(index)).tolist()  # for the usual distance
    fetched = [item_id for ids in calls if ids != sample for item_id in ids]
    assert len(fetched) == len(set(fetched)) >= 5


def test_the_photo_itself_can_be_left_out(run, samples, tmp_path):
    folder = tmp_path / "few"
    folder.mkdir()
    for name in CREATURES[:6]:
        shutil.copy(samples.images / f"{name}.webp", folder)
    shutil.copy(samples.images / f"{CREATURES[0]}.webp", folder / "twin.webp")
    shutil.copy(samples.images / f"{CREATURES[1]}.webp", tmp_path / "elsewhere.webp")
    assert run("build-index", folder, "--embedder", "compact").returncode == 0

    def labels(photo, *options):
        done = run("query", photo, "-k", "9", "--format", "paths", *options)
        return [Path(line).stem for line in done.stdout.splitlines()]

    own = folder / f"{CREATURES[0]}.webp"
    assert set(labels(own)[:2]) == {CREATURES[0], "twin"}
    without = labels(own, "--exclude-self")
    assert (without[0], len(without)) == ("twin", 6), "a copy in the index is another picture"
    assert CREATURES[1] not in labels(tmp_path / "elsewhere.webp", "--exclude-self")
    grouped = labels(own, "--exclude-self", "--group")
    assert grouped == without
    assert labels(own, "--exclude-self", "--max-distance", "0") == ["twin"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["--label-by", "Kin"],
            "No column Kin; use auto, stem, folder, path or a metadata column. Did you mean Kind?",
        ),
        (["--label-by", "Folder"], "Did you mean folder?"),
        (["--min-similarity", "101"], "--min-similarity"),
        (["--max-distance", "-1"], "--max-distance"),
    ],
)
def test_invalid_options_are_reported(run, kinds, samples, args, message):
    done = run("query", next(samples.photos.iterdir()), "--index", kinds, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
