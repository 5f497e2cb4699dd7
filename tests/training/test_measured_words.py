"""The table that measures how well photographs are found by words."""

import shutil
import subprocess
import sys

import pytest


@pytest.fixture
def measure(general):
    def run(*args):
        command = [sys.executable, "-m", "pokesim.training.words", *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_each_word_is_measured_among_the_pictures_of_the_second_half(measure, samples, tmp_path):
    pictures = sorted(samples.images.iterdir())
    places = [f"photos/caltech101/{kind}" for kind in ("elephant", "crab", "BACKGROUND_Google")]
    for number, picture in enumerate(pictures[:18]):
        folder = tmp_path / places[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, folder)
    done = measure("--data", tmp_path, "--embedder", "general")
    assert done.returncode == 0, done.stderr
    # Ten pictures are all of a half: 3 elephants and 3 crabs, without those of the background.
    # The other words are animal (all of them), crab, mammal and shellfish.
    assert done.stdout.splitlines() == [
        "|  | general |",
        "| --- | --- |",
        "| elephant | 50.0 / 50.0 |",
        "| mean | 50.0 / 50.0 |",
        "| the choice: 4 other words | 62.5 / 62.5 |",
    ]


def test_a_folder_without_photographs_is_one_sentence(measure, tmp_path):
    done = measure("--data", tmp_path, "--embedder", "general")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"words: {tmp_path} has none of the pictures that are measured.\n"
