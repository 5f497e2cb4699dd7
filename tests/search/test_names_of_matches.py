"""What matches are called: by their stems, or with their folders where stems say nothing."""

import json
import shutil

import pytest

import pokesim
from pokesim.index.item import is_meaningless
from pokesim.samples import CREATURES

FILES = {
    "holiday/IMG_0042": "holiday/IMG_0042",
    "beach/IMG_0042": "beach/IMG_0042",
    "farm/old/lion": "old/lion",
    "zoo/lion": "zoo/lion",
    "zoo/okapi": "okapi",
    "0007": "animals/0007",
}


@pytest.mark.parametrize(
    "stem",
    [
        "IMG_0042", "IMG_E0042", "IMG_0042 (1)", "IMG_20230714_153022", "IMG-20230714-WA0003",
        "DSC01234", "_DSC0042", "DSC_0042", "_MG_1234", "P1010001", "PXL_20230714_153022123.MP",
        "20230714_153022", "2023-07-14 15.30.22", "Screenshot 2023-07-14 at 15.30.22", "image_0001",
        "WhatsApp Image 2023-07-14 at 15.30.22", "n02086646_1", "7", "scan-12", "photo (3)",
        "b3d1f0a2-1f2e-4c55-9d4e-0123456789ab", "0cc175b9c0f1b6a831c399e269772661",
    ],
)  # fmt: skip
def test_a_camera_a_number_and_a_hash_say_nothing(stem):
    assert is_meaningless(stem)
    assert is_meaningless(stem.upper())


@pytest.mark.parametrize(
    "stem",
    ["brumbel", "mr-mime", "porygon2", "r2d2", "nidoran-f", "cat_12", "2001-a-space-odyssey",
     "image", "photo of a dog", "n", "Pikachu (2)", "deadbeef", "scanner-3"],
)  # fmt: skip
def test_a_name_says_something(stem):
    assert not is_meaningless(stem)


@pytest.fixture(scope="module")
def animals(samples, tmp_path_factory):
    """An index of six creatures with such names, and a table that describes two of them."""
    home = tmp_path_factory.mktemp("names")
    for name, creature in zip(FILES, CREATURES, strict=False):
        path = home / "animals" / f"{name}.webp"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(samples.images / f"{creature}.webp", path)
    (home / "table.csv").write_text("Name,Legs\nIMG_0042,4\nokapi,4\n")
    pokesim.build_index(
        home / "animals", home / "index", embedder="compact", metadata=home / "table.csv"
    )
    return home


def test_a_match_is_called_by_what_tells_it_apart(animals):
    with pokesim.open_index(animals / "index") as index:
        for name, label in FILES.items():
            photo = animals / "animals" / f"{name}.webp"
            called = {
                how: index.query(photo, k=1, label=how)[0].label
                for how in ("auto", "stem", "folder", "path")
            }
            folder = photo.parent.name
            assert called == {
                "auto": label, "stem": photo.stem, "folder": folder, "path": f"{name}.webp"
            }  # fmt: skip
            assert index.query(photo, k=1)[0].label == label
        # The table matches by stem, whatever a match is called; and so does a group.
        assert index.count("Legs=4") == 3
        groups = index.query(photo, k=6, group=True)
        assert {group.label for group in groups} == {"IMG_0042", "lion", "okapi", "0007"}


def test_the_command_and_the_map_call_pictures_so_too(run, animals, tmp_path):
    photo = animals / "animals" / "beach" / "IMG_0042.webp"
    index = shutil.copytree(animals / "index", tmp_path / "index")
    assert "looks most like beach/IMG_0042" in run("query", photo, "-i", index).stdout
    by_path = run("query", photo, "-i", index, "--label-by", "path", "--format", "ndjson")
    assert json.loads(by_path.stdout)["matches"][0]["label"] == "beach/IMG_0042.webp"
    mapped = run("map", "-i", index, "--save", "map.html", "--method", "pca")
    assert mapped.returncode == 0, mapped.stderr
    assert "holiday/IMG_0042" in (tmp_path / "map.html").read_text()
    assert run("remove", "beach/IMG_0042", "-i", index).returncode == 0
    with pokesim.open_index(index) as left:
        assert [item.path for item in left.items if item.label == "IMG_0042"] == [
            "holiday/IMG_0042.webp"
        ]
