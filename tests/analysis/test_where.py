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
    for name in ("all", "some", "photos"):
        (root / name).mkdir()
    rows = [["Name", "Kind", "Number"]]
    for number, path in enumerate(sorted(samples.images.iterdir())[:30]):
        shutil.copy(path, root / "all" / path.name)
        copy = f"{path.stem}-small.png"
        with Image.open(path) as picture:
            picture.resize((100, 100)).save(root / "all" / copy)
            picture.resize((40, 40)).save(root / "photos" / path.name)
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
            [(one.path.name, one.bytes, round(one.similarity, 2)) for one in group]
            for group in pokesim.find_duplicates(folder / index, **options)
        ]

    for options in ({"threshold": 50, "similar": True}, {"threshold": 99, "similar": True}, {}):
        found = groups("index", where=WHERE, **options)
        assert found == groups("subset", **options)
        assert found != groups("index", **options)
    assert groups("index", where=WHERE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pokesim.analysis.similar.BLOCK", 4)
        patch.setattr("pokesim.analysis.copies.BLOCK", 4)
        assert groups("index", where=WHERE) == groups("subset")
        assert groups("index", where=WHERE, similar=True) == groups("subset", similar=True)
    assert groups("index", where="Number > 1000") == []


@pytest.mark.parametrize("most", [2000, 5])
def test_a_layout_of_the_pictures_that_match(folder, most):
    def layout(index, **options):
        placed = layout_pictures(folder / index, method="pca", most=most, **options)
        return {one.path.name: (one.x, one.y) for one in placed.pictures}

    found, expected = layout("index", where=WHERE), layout("subset")
    assert list(found) == list(expected)
    np.testing.assert_allclose(list(found.values()), list(expected.values()), atol=1e-3)
    assert len(found) == min(most, len(list((folder / "some").iterdir())))
    assert layout("index", where="Number > 1000") == {}


@pytest.mark.parametrize("labels", ["auto", "stem"])
def test_an_evaluation_among_the_pictures_that_match(folder, labels):
    def evaluate(index, **options):
        return pokesim.evaluate_index(
            folder / "photos", folder / index, labels=labels, ks=[1, 3], **options
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
    with pytest.raises(PokesimError, match=r"a picture in .* that passes 'Number > 1000'"):
        evaluate("index", where="Number > 1000")


def test_ranks_among_the_pictures_that_match_equal_a_brute_force_search(folder):
    with pokesim.open_index(folder / "index") as index:
        ids = index.select(WHERE)
        items = [index.items[item_id] for item_id in ids.tolist()]
        xb = index.vectors(ids).astype(np.float64)
        expected = {}
        for photo, query in index.embed_photos(sorted((folder / "photos").iterdir())):
            order = np.argsort(np.linalg.norm(xb - query, axis=1), kind="stable")
            labels = [items[row].label for row in order]
            if photo.stem in labels:
                expected[photo] = 1 + labels.index(photo.stem)
    found = pokesim.evaluate_index(folder / "photos", folder / "index", labels="stem", where=WHERE)
    assert {one.photo.path: one.rank for one in found.ranked} == expected
    assert len(expected) == 10


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
