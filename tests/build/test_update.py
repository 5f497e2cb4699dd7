"""Updates of an index: known pictures are kept, new ones are embedded, nothing drifts."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import pokesim
from pokesim.errors import IndexFolderError, PokesimError
from pokesim.files import sha256_of
from pokesim.samples import CREATURES

REBUILD = ("build-index", "--embedder", "compact", "--rebuild")


def current(index):
    return (index / "CURRENT").read_text()


def contents(index):
    """Return the items of an index without times, and the bytes of its vectors."""
    with pokesim.open_index(index) as opened:
        items = [(item.path, item.label, item.size, item.sha256) for item in opened.items]
        return items, opened.vectors(np.arange(len(opened))).tobytes()


def first_build(folder, tmp_path):
    """Return the contents of a new index of the folder."""
    index = tmp_path / "first"
    shutil.rmtree(index, ignore_errors=True)
    pokesim.build_index(folder, index, embedder="compact")
    return contents(index)


def test_an_index_that_is_up_to_date_is_not_written(run, folder, index):
    (folder / "notes.txt").write_text("ignored")
    before = current(index)
    again = run("build-index", folder, "--index", index)
    assert again.stdout == f"Nothing to do: {index} has these 20 pictures already.\n"
    assert current(index) == before


def test_pictures_that_were_only_touched_are_recognized_by_content(run, folder, index):
    before = current(index)
    os.utime(folder / f"{CREATURES[0]}.webp")
    assert "Nothing to do" in run("build-index", folder, "--index", index).stdout
    assert current(index) == before


def test_only_new_and_changed_files_are_embedded_and_missing_ones_dropped(
    run, folder, index, samples, tmp_path
):
    shutil.copy(samples.images / f"{CREATURES[30]}.webp", folder / "new.webp")
    shutil.copy(samples.images / f"{CREATURES[31]}.webp", folder / f"{CREATURES[3]}.webp")
    (folder / f"{CREATURES[4]}.webp").unlink()
    (folder / f"{CREATURES[5]}.webp").rename(folder / "below" / "renamed.webp")
    done = run("build-index", folder, "--index", index)
    assert done.stdout.startswith("Indexed 20 pictures, skipped 0, with compact in ")
    assert ": 2 new, 18 unchanged, 2 removed (" in done.stdout
    assert contents(index) == first_build(folder, tmp_path)
    assert run("check", "--index", index).returncode == 0


def test_a_change_of_the_same_size_and_time_is_detected(folder, tmp_path):
    path = folder / "quick.bmp"
    Image.new("RGB", (8, 8), "red").save(path)
    now = time.time_ns()
    os.utime(path, ns=(now, now))
    pokesim.build_index(folder, tmp_path / "i", embedder="compact")
    size = path.stat().st_size
    Image.new("RGB", (8, 8), "blue").save(path)
    os.utime(path, ns=(now, now))
    assert path.stat().st_size == size
    assert pokesim.build_index(folder, tmp_path / "i").embedded == 1
    assert contents(tmp_path / "i") == first_build(folder, tmp_path)


def test_files_of_the_same_size_and_time_that_swap_names_are_detected(folder, tmp_path):
    for name in ("red", "blue"):
        Image.new("RGB", (8, 8), name).save(folder / f"{name}.bmp")
        os.utime(folder / f"{name}.bmp", (1e9, 1e9))
    pokesim.build_index(folder, tmp_path / "i", embedder="compact")
    (folder / "red.bmp").rename(folder / "held")
    (folder / "blue.bmp").rename(folder / "red.bmp")
    (folder / "held").rename(folder / "blue.bmp")
    assert pokesim.build_index(folder, tmp_path / "i").embedded == 0
    assert contents(tmp_path / "i") == first_build(folder, tmp_path)


def test_rebuild_embeds_everything_again(run, folder, index):
    before = contents(index)
    assert ": 20 new, " in run(*REBUILD, folder, "--index", index).stdout
    assert contents(index) == before


def test_another_folder_reuses_the_vectors_of_known_pictures(run, folder, index, tmp_path):
    shutil.copytree(folder, tmp_path / "moved")
    shutil.rmtree(folder)
    done = run("build-index", tmp_path / "moved", "--index", index)
    assert f"The index covered {folder}; it now covers {tmp_path / 'moved'}." in done.stderr
    assert ": 0 new, " in done.stdout
    assert contents(index) == first_build(tmp_path / "moved", tmp_path)


def test_add_and_remove_single_pictures(run, folder, index, samples, tmp_path):
    outside = tmp_path / "outside.webp"
    shutil.copy(samples.images / f"{CREATURES[40]}.webp", outside)
    shutil.copy(samples.images / f"{CREATURES[41]}.webp", folder / "below" / "inside.webp")
    (folder / f"{CREATURES[7]}.webp").unlink()  # not checked
    added = run("add", "outside.webp", folder / "below" / "inside.webp", "--index", index)
    assert added.stdout.startswith("Indexed 22 pictures")
    assert ": 2 new, " in added.stdout
    asked = run("query", outside, "-k", "1", "--format", "paths", "--index", index)
    assert asked.stdout == f"{outside}\n"
    assert "Nothing to do" in run("add", "outside.webp", "--index", index).stdout

    removed = run("remove", CREATURES[1], folder / "below" / "inside.webp", "--index", index)
    assert removed.stdout == f"Removed 2 pictures; {index} has 20.\n"
    assert run("check", "--index", index).returncode == 0
    again = run("build-index", folder, "--index", index)
    assert again.stdout.startswith("Indexed 21 pictures")  # without the deleted one
    assert ": 2 new, " in again.stdout
    with pokesim.open_index(index) as opened:
        assert str(outside) in [item.path for item in opened.items]
    outside.unlink()
    assert "1 removed" in run("build-index", folder, "--index", index).stdout


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["add", "nope.webp"], 1, "nope.webp: No such file or directory."),
        (["add", "words.txt"], 1, "words.txt: not an image pokesim can read."),
        (["add", "pictures"], 2, "pictures is a folder"),
        (
            ["remove", "brumble"],
            1,
            "no picture with the label or path brumble. Did you mean brumbel?",
        ),
        (["remove", *CREATURES[:20]], 1, "delete the index itself instead"),
    ],
    ids=lambda value: value[1] if isinstance(value, list) else "",
)
def test_add_and_remove_errors_are_one_line(run, index, tmp_path, args, code, message):
    (tmp_path / "words.txt").write_text("words")
    before = current(index)
    done = run(*args, "--index", index)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == code, "a usage error has the usage line, too"
    assert message in done.stderr
    assert current(index) == before


def test_a_tuned_index_stays_tuned(index_path, samples, tmp_path):
    index = shutil.copytree(index_path, tmp_path / "index")
    pictures = shutil.copytree(samples.images, tmp_path / "pictures")
    pokesim.tune_index(samples.photos, index, force=True, dims=16)
    pokesim.add_pictures([shutil.copy(samples.photos / "brumbel.jpg", tmp_path / "b.jpg")], index)
    pokesim.remove_pictures([CREATURES[2]], index)
    done = pokesim.build_index(pictures, index)
    assert (done.embedded, done.indexed) == (1, 151)
    list(pokesim.check_index(index))
    with pokesim.open_index(index) as opened:
        assert opened.manifest.dimension == 16
        assert opened.query(pictures / f"{CREATURES[2]}.webp", k=1)[0].distance < 1e-3


def interrupted(folder, index, batches, **options):
    """Build, press Ctrl-C after some batches, and return the message."""
    left = batches

    def press(done, total):
        nonlocal left
        if done:
            left -= 1
        if not left:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        pokesim.build_index(folder, index, batch_size=4, progress=press, **options)
    return str(caught.value)


def test_an_interrupted_build_resumes(run, folder, tmp_path):
    message = interrupted(folder, tmp_path / "i", 3, embedder="compact")
    assert message.startswith(
        "Interrupted; 12 of 20 pictures are embedded. Run the same command again"
    )
    with pytest.raises(IndexFolderError, match="There is no index"):
        pokesim.open_index(tmp_path / "i")
    done = pokesim.build_index(folder, tmp_path / "i", embedder="compact", batch_size=4)
    assert (done.embedded, done.indexed) == (8, 20)
    assert contents(tmp_path / "i") == first_build(folder, tmp_path)
    assert not (tmp_path / "i" / ".unfinished").exists()


def test_files_that_changed_during_the_interruption_are_embedded_again(folder, samples, tmp_path):
    interrupted(folder, tmp_path / "i", 3, embedder="compact")
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    shutil.copy(samples.images / f"{CREATURES[33]}.webp", folder / names[2])
    (folder / names[5]).unlink()
    done = pokesim.build_index(folder, tmp_path / "i", embedder="compact")
    assert done.embedded == 9
    assert contents(tmp_path / "i") == first_build(folder, tmp_path)


def test_an_interrupted_rebuild_resumes_unless_the_options_differ(folder, index, tmp_path):
    options = {"embedder": "compact", "rebuild": True}
    interrupted(folder, index, 3, **options)
    assert pokesim.build_index(folder, index, **options).embedded == 8
    interrupted(folder, index, 3, **options)
    done = pokesim.build_index(folder, index, **options, normalize=False)
    assert done.embedded == 20


def test_damage_to_the_journal_of_an_interrupted_build_is_detected(folder, tmp_path):
    rows = tmp_path / "i" / ".unfinished" / "vectors.f32"
    for damage in (
        lambda: rows.write_bytes(rows.read_bytes()[:-5]),
        lambda: rows.write_bytes(rows.read_bytes()[:4] + b"\0" + rows.read_bytes()[5:]),
        rows.unlink,
        lambda: (rows.parent / "journal.sqlite").write_bytes(bytes(4096)),
        (rows.parent / "journal.sqlite").unlink,
    ):
        shutil.rmtree(tmp_path / "i", ignore_errors=True)
        interrupted(folder, tmp_path / "i", 3, embedder="compact")
        damage()
        pokesim.build_index(folder, tmp_path / "i", embedder="compact", batch_size=4)
        assert contents(tmp_path / "i") == first_build(folder, tmp_path)


def test_ctrl_c_prints_one_line_that_says_how_to_resume(samples, tmp_path):
    command = [sys.executable, "-m", "pokesim", "build-index", "--embedder", "compact"]
    command += ["--batch-size", "1", str(samples.images)]
    build = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    rows = tmp_path / "indexes/default/.unfinished/vectors.f32"
    while not (rows.exists() and rows.stat().st_size > 3 * 4 * 256):  # more than one batch
        time.sleep(0.01)
    build.send_signal(signal.SIGINT)
    _, message = build.communicate(timeout=60)
    assert (build.returncode, message.count("\n")) == (130, 1)
    assert "of 151 pictures are embedded. Run the same command again to resume." in message
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Resuming an interrupted build" in again.stderr
    assert contents(tmp_path / "indexes/default") == first_build(samples.images, tmp_path)


def test_a_damaged_index_is_rebuilt_from_an_intact_snapshot(run, folder, index, samples, tmp_path):
    shutil.copy(samples.images / f"{CREATURES[30]}.webp", folder / "new.webp")
    pokesim.build_index(folder, index)
    (index / "snapshots" / current(index).strip() / "items.sqlite").unlink()
    done = run("build-index", folder, "--index", index)
    assert "items.sqlite cannot be read" in done.stderr
    assert ": 1 new, " in done.stdout
    assert contents(index) == first_build(folder, tmp_path)
    (index / "snapshots" / current(index).strip() / "items.sqlite").unlink()
    (folder / "new.webp").unlink()  # so that the previous snapshot is up to date again
    run("build-index", folder, "--index", index)
    assert contents(index) == first_build(folder, tmp_path)
    assert len(list((index / "snapshots").iterdir())) == 2
    shutil.rmtree(index / "snapshots" / current(index).strip())
    repaired = run("check", "--index", index, "--repair")
    assert "UTC, with 20 pictures" in repaired.stdout


def test_refresh_opens_the_current_snapshot(folder, index, samples):
    with pokesim.open_index(index) as opened:
        assert opened.refresh() is opened
        for number in range(3):
            shutil.copy(samples.images / f"{CREATURES[30 + number]}.webp", folder / "new.webp")
            pokesim.build_index(folder, index)
        assert len(opened) == 20
        assert opened.query(folder / f"{CREATURES[8]}.webp", k=1)[0].label == CREATURES[8]
        assert len(list((index / "snapshots").iterdir())) == 3  # the one being read is kept
        with opened.refresh() as newer:
            assert len(newer) == 21
    (folder / "new.webp").unlink()
    pokesim.build_index(folder, index)
    assert len(list((index / "snapshots").iterdir())) == 2


def test_an_empty_folder_leaves_the_index_unchanged(folder, index):
    for path in folder.glob("*.webp"):
        path.unlink()
    with pytest.raises(PokesimError, match="There is no picture to index"):
        pokesim.build_index(folder, index)
    assert len(pokesim.open_index(index)) == 20


@pytest.mark.parametrize("all_of_it", [True, False])
def test_a_folder_that_vanishes_during_a_build_leaves_the_index_unchanged(
    folder, tmp_path, all_of_it
):
    pictures = sorted(folder.glob("*.webp"))
    held = [(path, path.read_bytes()) for path in pictures]
    for path in pictures[3:]:
        path.unlink()
    pokesim.build_index(folder, tmp_path / "i", embedder="compact")
    before = contents(tmp_path / "i")
    for path, data in held:
        path.write_bytes(data)

    def unmount(done, total):
        if done == 4:
            for path in pictures:
                path.unlink()
            if all_of_it:
                shutil.rmtree(folder)

    with pytest.raises(IndexFolderError, match="vanished while they were read; the index is un"):
        pokesim.build_index(
            folder, tmp_path / "i", embedder="compact", batch_size=2, rebuild=True, progress=unmount
        )
    assert contents(tmp_path / "i") == before
    folder.mkdir(exist_ok=True)
    for path, data in held:
        path.write_bytes(data)
    assert pokesim.build_index(folder, tmp_path / "i").indexed == 20


def test_items_hold_the_hash_of_the_file(folder, index):
    with pokesim.open_index(index) as opened:
        for item in opened.items:
            assert item.sha256 == sha256_of(folder / item.path)
