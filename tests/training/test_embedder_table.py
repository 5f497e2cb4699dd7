"""The table that compares embedders: its figures, for vectors of a file and of an index."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

import pokesim

# Each picture is a point on a line: collection/class/name → where.
FLOWERS = {
    "photos/flowers/rose/1.jpg": 0,
    "photos/flowers/rose/2.jpg": 1,  # its nearest is a rose
    "photos/flowers/tulip/1.jpg": 3,
    "photos/flowers/tulip/2.jpg": 10,
}
PACS = {
    "styles/pacs/photo/dog/1.jpg": 0,
    "styles/pacs/photo/dog/2.jpg": 1,
    "styles/pacs/sketch/dog/1.jpg": 5,
    "styles/pacs/sketch/horse/1.jpg": 4,  # nearer to the photos, and wrong
}
POKEMON = {
    "pokemon/kaggle/abra.png": 0,
    "pokemon/kaggle/jynx.png": 10,
    "pokemon/kaggle/onix.png": 20,
    "pokemon/plush/abra.png": 1,  # right
    "pokemon/plush/jynx.png": 19,  # second
    "pokemon/web/abra/01.png": 2,  # right
    "pokemon/web/onix/01.png": 0,  # of another split
}
FACES = {f"photos/fakefaces/person/{at}.jpg": 9 * at for at in range(3)}
CHANGED = {f"{name}#{c}": 0 for name in FACES for c in ("flip", "crop", "light", "small")}


@pytest.fixture
def data(tmp_path, samples):
    """A data folder with sample pictures in place of others."""
    pictures = iter(sorted(samples.images.iterdir()))
    for name in [*FLOWERS, *PACS, *POKEMON, *FACES]:
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(next(pictures), path)
    table = "dex,species,kaggle_name,split\n1,abra,abra,dev\n2,jynx,jynx,dev\n3,onix,onix,train\n"
    (tmp_path / "data/pokemon/species.csv").write_text(table)
    return tmp_path / "data"


def evaluate(*args):
    command = [sys.executable, "-m", "pokesim.training.evaluate", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rows_of(table: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {title: cells for title, *cells in lines}


def test_the_figures_of_vectors_from_a_file(data, tmp_path):
    places = FLOWERS | PACS | POKEMON | FACES | CHANGED
    vectors = np.array(list(places.values()), np.float32)[:, None]
    np.savez(tmp_path / "line.npz", names=list(places), vectors=vectors)
    done = evaluate("--data", data, "--vectors", tmp_path / "line.npz")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("|  | line |\n| --- | --- |\n")
    assert rows_of(done.stdout) == {
        "dimension": ["1"],
        "flowers": ["75.0 / 33.3"],
        "PACS, another domain": ["25.0"],
        "plush": ["50.0 / 100.0"],
        "web": ["100.0 / 100.0"],
        "mean of 2 styles": ["75.0 / 100.0"],
        "different answers to 3 portraits": ["3.0"],
        **{f"portraits kept, {c}": ["100.0"] for c in ("flip", "crop", "light", "small", "mean")},
    }


def test_a_measure_without_vectors_is_a_dash(data, tmp_path):
    vectors = np.array(list(FLOWERS.values()), np.float32)[:, None]
    np.savez(tmp_path / "line.npz", names=list(FLOWERS), vectors=vectors)
    done = evaluate("--data", data, "--vectors", tmp_path / "line.npz")
    rows = rows_of(done.stdout)
    assert (rows.pop("dimension"), rows.pop("flowers")) == (["1"], ["75.0 / 33.3"])
    assert set(map(tuple, rows.values())) == {("–",)}
    assert done.stderr.startswith("line has no vectors of 25 pictures, such as photos/fakefaces/")


def test_the_vectors_of_an_index_give_the_figures_of_evaluate_index(data, tmp_path):
    done = evaluate("--data", data, "--embedder", "compact", "--work", tmp_path / "work")
    assert done.returncode == 0, done.stderr
    rows = rows_of(done.stdout)
    pokesim.build_index(data / "photos/flowers", tmp_path / "flowers", embedder="compact")
    found = pokesim.evaluate_index(data / "photos/flowers", tmp_path / "flowers", labels="folder")
    assert rows["flowers"][0].startswith(f"{100 * found.scores[-1].figures['R@1'][0]:.1f} / ")
    pokesim.build_index(data / "pokemon/kaggle", tmp_path / "kaggle", embedder="compact")
    found = pokesim.evaluate_index(data / "pokemon/plush", tmp_path / "kaggle", ks=(1, 5))
    figures = [f"{100 * found.scores[-1].figures[figure][0]:.1f}" for figure in ("R@1", "R@5")]
    assert rows["plush"] == [" / ".join(figures)]
    assert all("–" not in cells for cells in rows.values())


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (["--data", "."], 2, "nothing to compare"),
        (["--data", ".", "--vectors", "absent.npz"], 1, "is not an .npz file of names and vectors"),
        (["--data", "absent", "--embedder", "compact"], 1, "has none of the pictures"),
    ],
)
def test_bad_input_gets_one_sentence(given, code, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = evaluate(*given)
    assert done.returncode == code
    assert words in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
