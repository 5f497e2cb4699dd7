"""A best match that is not much nearer than usual is called the closest, not a lookalike."""

import json

import pytest
from support.pictures import stranger

import pokesim
from pokesim.samples import PHOTOGRAPHED


@pytest.fixture
def unlike(tmp_path):
    """A photo that no creature looks like."""
    stranger().save(tmp_path / "stranger.png")
    return "stranger.png"


def test_a_photo_of_a_creature_looks_like_it_and_a_stranger_does_not(index_path, samples):
    photos = [samples.photos / f"{name}.jpg" for name in PHOTOGRAPHED]
    with pokesim.open_index(index_path) as index:
        best = [found[0] for found in index.query(photos, 3)]
        (closest, *_) = index.query(stranger(), 3)
        indexed = index.query(samples.images / "brumbel.webp", 3)
    right = [
        one.resembles for one, name in zip(best, PHOTOGRAPHED, strict=True) if one.label == name
    ]
    assert sum(right) >= 0.8 * len(PHOTOGRAPHED)
    assert not closest.resembles
    assert indexed[0].resembles


def test_a_verdict_does_not_depend_on_the_number_of_matches(index_path, samples):
    photos = [samples.photos / f"{name}.jpg" for name in PHOTOGRAPHED[:12]]
    with pokesim.open_index(index_path) as index:
        few, many = (index.query(photos, k) for k in (1, 20))
    assert [one[0] for one in few] == [one[0] for one in many]
    for found in many:
        resembling = [match.resembles for match in found]
        assert resembling == sorted(resembling, reverse=True)


def test_the_table_and_the_json_say_which(run, index_path, samples, unlike):
    photo = samples.photos / "brumbel.jpg"
    query = ("query", photo, unlike, "-k", "2", "--index", index_path)
    table = run(*query).stdout.splitlines()
    first, second = json.loads(run(*query, "--format", "json").stdout)
    assert table[0] == f"{photo} looks most like brumbel"
    assert table[5] == f"stranger.png: the closest of 151 is {second['matches'][0]['label']}"
    assert (first["resembles"], first["verdict"]) == (True, "looks most like")
    assert (second["resembles"], second["verdict"]) == (False, "closest of 151")


def test_only_the_pictures_that_pass_a_filter_are_counted(run, samples, unlike, tmp_path):
    rows = [f"{name},{at % 2}" for at, name in enumerate(PHOTOGRAPHED)]
    (tmp_path / "t.csv").write_text("\n".join(["Name,Odd", *rows]))
    pokesim.build_index(
        samples.images, tmp_path / "index", embedder="compact", metadata=tmp_path / "t.csv"
    )
    query = ("query", unlike, "--index", "index", "--format", "json", "--where")
    assert json.loads(run(*query, "Odd=1").stdout)[0]["verdict"] == "closest of 20"
    none = json.loads(run(*query, "Odd=1 and Odd=0").stdout)[0]
    assert (none["resembles"], none["verdict"], none["matches"]) == (False, "no match", [])


def test_no_heat_map_is_drawn_for_the_closest(run, index_path, samples, unlike, tmp_path):
    query = ("query", unlike, "-k", "3", "--index", index_path)
    plain = run(*query, "--save", "plain.png", "--html", "plain.html")
    asked = run(*query, "--save", "why.png", "--html", "why.html", "--explain")
    assert (plain.returncode, plain.stderr, asked.returncode) == (0, "", 0)
    assert asked.stderr.startswith("No heat map for stranger.png: ")
    assert asked.stderr.count("\n") == 1
    assert "is only the closest of 151" in asked.stderr
    for name in ("png", "html"):
        assert (tmp_path / f"plain.{name}").read_bytes() == (tmp_path / f"why.{name}").read_bytes()
    assert "closest of 151" in (tmp_path / "why.html").read_text()
    done = run("query", samples.photos / "brumbel.jpg", "-i", index_path, "--html", "like.html")
    assert done.returncode == 0
    assert "looks most like" in (tmp_path / "like.html").read_text()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_pictures_are_enough_to_say_that_one_is_the_photo(samples, tmp_path, count):
    (tmp_path / "few").mkdir()
    for name in PHOTOGRAPHED[:count]:
        (tmp_path / "few" / f"{name}.webp").symlink_to(samples.images / f"{name}.webp")
    pokesim.build_index(tmp_path / "few", tmp_path / "index", embedder="compact")
    with pokesim.open_index(tmp_path / "index") as index:
        assert index.query(samples.images / f"{PHOTOGRAPHED[0]}.webp", 1)[0].resembles
        assert not index.query(stranger(), 1)[0].resembles
