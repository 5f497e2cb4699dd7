"""The table that measures how often "looks most like" is right."""

import shutil
import subprocess
import sys

import numpy as np

# Each picture is a point on a line; the usual distance from around 0 to the Kaggle pictures is 100.
PLACES = {
    "pokemon/kaggle/abra.png": 0,
    "pokemon/kaggle/jynx.png": 100,
    "pokemon/kaggle/onix.png": 200,
    "pokemon/plush/abra.png": 1,  # right, and near
    "pokemon/home/abra.png": -400,  # right, but far from all of them
    "pokemon/plush/jynx.png": 199,  # wrong, and near
    "photos/flowers/rose/1.jpg": 99,  # near to one
    "photos/flowers/rose/2.jpg": -500,  # far from all
    "photos/fakefaces/person/1.jpg": -600,
}


def measure(*args):
    command = [sys.executable, "-m", "pokesim.training.resemblance", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def data_folder(folder, samples):
    """Write a data folder with sample pictures in place of others."""
    for name, picture in zip(PLACES, sorted(samples.images.iterdir()), strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, folder / name)
    table = "dex,species,kaggle_name,split\n1,abra,abra,dev\n2,jynx,jynx,dev\n3,onix,onix,train\n"
    (folder / "pokemon/species.csv").write_text(table)
    return folder


def rows_of(table):
    lines = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {title: cells for title, *cells in lines}


def test_the_figures_are_those_of_the_rule(samples, tmp_path):
    data = data_folder(tmp_path / "data", samples)
    vectors = np.array(list(PLACES.values()), np.float32)[:, None]
    np.savez(tmp_path / "line.npz", names=list(PLACES), vectors=vectors)
    done = measure("--data", data, "--vectors", tmp_path / "line.npz")
    assert (done.returncode, done.stderr) == (0, "")
    assert rows_of(done.stdout) == {
        "Pokémon: right answers": ["50.0"],
        "Pokémon: photographs": ["50.0"],
        "Pokémon: portraits": ["0.0"],
        "Pokémon: species left out": ["0.0"],  # with one picture, none is nearer than usual
        "Pokémon: precision": ["50.0"],
        "Pokémon: with strangers": ["40.0"],
    }


def test_an_embedder_is_measured_and_bad_input_is_one_sentence(samples, tmp_path):
    data = data_folder(tmp_path / "data", samples)
    done = measure("--data", data, "--embedder", "compact")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("|  | compact |\n| --- | --- |\n")
    empty = measure("--data", tmp_path / "nowhere", "--embedder", "compact")
    assert (empty.returncode, empty.stdout) == (1, "")
    assert "has none of the pictures that are measured" in empty.stderr
    assert empty.stderr.count("\n") == 1
    assert measure("--data", data).returncode == 2
