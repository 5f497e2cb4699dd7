"""`where` limits duplicates, layout and evaluation to the pictures that pass the filter.

The results equal those of an index that holds only these pictures.
"""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

import pokesim
from pokesim.analysis.layout import layout_pictures
from pokesim.errors import PokesimError, UsageError

WHERE = "Kind = odd and Number < 20"


@pytest.fixture(scope="module")
def folder(samples, tmp_path_factory):
    """An index of 30 creatures and smaller copies of them, and one of those that pass WHERE."""
    root = tmp_path_factory.mktemp("where")
    for name in ("all", "some"):
        (root / name).mkdir()
    rows = [["Name", "Kind", "Number"]]
    for number, path in enumerate(sorted(samples.images.iterdir())[:30]):
        shutil.copy(path, root / "all" / path.name)
        copy = f"{path.stem}-small.png"
        with Image.open(path) as picture:
            picture.resize((100, 100)).save(root / "all" / copy)
        # The copy of every fourth creature is of the other kind, so its pair is split.
        kinds = [number % 2, (number + (number % 4 == 1)) % 2]
        for name, kind in zip((path.name, copy), kinds, strict=True):
            rows.append([name, ("even", "odd")[kind], number])
            if kind and number < 20:
                shutil.copy(root / "all" / name, root / "some" / name)
    with (root / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    table = root / "table.csv"
    pokesim.build_index(root / "all", root / "index", embedder="compact", metadata=table)
    pokesim.build_index(root / "some", root / "subset", embedder="compact")
    return root


def test_duplicates_among_the_pictures_that_match(folder):
    def groups(index, **options):
        return [
            [(one.path.name, one.bytes, pytest.approx(one.similarity, abs=1e-4)) for one in group]
            for group in pokesim.find_duplicates(folder / index, **options)
        ]

    for threshold in (50, 80, 99):
        found = groups("index", threshold=threshold, where=WHERE)
        assert found == groups("subset", threshold=threshold)
        assert found != groups("index", threshold=threshold)
    assert groups("index", where=WHERE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pokesim.analysis.duplicates._BLOCK", 4)
        assert groups("index", where=WHERE) == groups("subset")
    assert groups("index", where="Number > 1000") == []


@pytest.mark.parametrize("most", [2000, 5])
def test_a_layout_of_the_pictures_that_match(folder, most):
    def layout(index, **options):
        placed = layout_pictures(folder / index, method="pca", most=most, **options)
        return {one.path.name: pytest.approx((one.x, one.y), abs=1e-3) for one in placed}

    found = layout("index", where=WHERE)
    assert found == layout("subset")
    assert len(found) == min(most, len(list((folder / "some").iterdir())))
    assert layout("index", where="Number > 1000") == {}


@pytest.mark.parametrize("labels", ["auto", "stem"])
def test_an_evaluation_among_the_pictures_that_match(folder, samples, labels):
    def evaluate(index, **options):
        return pokesim.evaluate_index(
            samples.images, folder / index, labels=labels, ks=[1, 3], **options
        )

    found, expected = evaluate("index", where=WHERE), evaluate("subset")
    assert found.scores == expected.scores
    assert found.unknown == expected.unknown
    assert [
        (one.photo, one.rank, one.right.name, one.first.name, one.first_label)
        for one in found.ranked
    ] == [
        (one.photo, one.rank, one.right.name, one.first.name, one.first_label)
        for one in expected.ranked
    ]
    assert len(found.ranked) < len(evaluate("index").ranked)
    with pytest.raises(PokesimError, match="a picture in .* that passes 'Number > 1000'"):
        evaluate("index", where="Number > 1000")


def test_ranks_among_the_pictures_that_match_equal_a_brute_force_search(folder, samples, tmp_path):
    (tmp_path / "photos").mkdir()
    with pokesim.open_index(folder / "index") as index:
        ids = index.select(WHERE)
        items = [index.items[item_id] for item_id in ids.tolist()]
        xb = index.vectors(ids).astype(np.float64)
        photos, expected = [], []
        for item in items[::3]:
            photo = tmp_path / "photos" / f"{item.label}.jpg"
            with Image.open(folder / "all" / item.path) as picture:
                picture.convert("RGB").resize((60, 60)).save(photo)
            ((_, query),) = index.embed_photos([photo])
            order = np.argsort(np.linalg.norm(xb - query, axis=1), kind="stable")
            photos.append(photo.name)
            expected.append(1 + [items[row].label for row in order].index(item.label))
    found = pokesim.evaluate_index(
        tmp_path / "photos", folder / "index", labels="stem", where=WHERE
    )
    ranks = {one.photo.path.name: one.rank for one in found.ranked}
    assert ranks == dict(zip(photos, expected, strict=True))


@pytest.mark.parametrize("where", ["Colour = red", "Kind = strange", "Kind ="])
def test_a_bad_filter_is_the_same_error_as_in_a_query(folder, samples, where):
    photo = next(samples.photos.iterdir())
    for index in ("index", "subset"):  # the subset has no metadata
        with pokesim.open_index(folder / index) as opened, pytest.raises(UsageError) as expected:
            opened.query(photo, where=where)
        for analyse in (
            pokesim.find_duplicates,
            layout_pictures,
            lambda path, where: pokesim.evaluate_index(samples.photos, path, where=where),
        ):
            with pytest.raises(UsageError) as error:
                analyse(folder / index, where=where)
            assert str(error.value) == str(expected.value)
