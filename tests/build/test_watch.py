"""`pokesim watch` and `watch_folder`: the index follows the folder, whatever happens."""

import shutil
import signal
import sys
import threading

import pytest
from support.watcher import watching

import pokesim
from pokesim.embedders.litert import BATCH_SIZE
from pokesim.errors import IncompatibleIndexError, PokesimError
from pokesim.index.folder.lock import write_lock
from pokesim.samples import CREATURES

FIRST_BATCH = BATCH_SIZE * 256 * 4  # bytes of its vectors, by compact


def labels(index):
    with pokesim.open_index(index) as opened:
        return sorted(opened.labels)


def test_the_index_follows_the_folder(samples, tmp_path):
    folder, index = tmp_path / "drop", tmp_path / "drop" / "index"  # its own files are no changes
    folder.mkdir()
    some = [samples.images / f"{name}.webp" for name in sorted(CREATURES)[:3]]
    with watching(folder, index) as watcher:
        watcher.says(f"There is no picture to index in {folder}. Trying again until it works.")
        shutil.copy(some[0], folder)
        watcher.says("Watching ")
        with write_lock(index):
            shutil.copy(some[1], folder)
            (folder / "photo.webp").write_bytes(some[2].read_bytes()[:999])
            watcher.says("Another build (process")
        watcher.says("skipped photo.webp: damaged")
        watcher.says(f"1 new: {index} has 2 pictures.")
        shutil.move(folder, tmp_path / "away")
        watcher.says(f"There is no folder {folder} to index.")
        shutil.copy(some[2], tmp_path / "away" / "photo.webp")
        (tmp_path / "away" / some[0].name).unlink()
        shutil.move(tmp_path / "away", folder)
        watcher.says(f"1 new, 1 removed: {index} has 2 pictures.")
        said = len(watcher.lines)
        assert watcher.end(signal.SIGINT) == 0
    assert watcher.lines[said:] == ["Stopped."]
    assert labels(index) == sorted([some[1].stem, "photo"])


def test_an_interrupted_update_is_resumed(samples, tmp_path):
    folder, index = tmp_path / "pictures", tmp_path / "index"
    folder.mkdir()
    for at, picture in enumerate([*samples.images.iterdir()] * 5):  # enough to be interrupted
        (folder / f"{at}{picture.suffix}").write_bytes(picture.read_bytes() + bytes([at % 251]))
    with watching(folder, index) as watcher:
        vectors = index / ".unfinished" / "vectors.f32"
        # A batch's rows are written before it counts; those of the second follow that of the first.
        watcher.waits_until(lambda: vectors.exists() and vectors.stat().st_size > FIRST_BATCH)
        assert watcher.end() == 130
    assert "are embedded. Run the same command again to resume." in watcher.lines[-1]
    with watching(folder, index) as watcher:
        watcher.says("Resuming an interrupted build")
        watcher.says("Watching ")
        assert watcher.end() == 0
    assert len(labels(index)) == 5 * len(CREATURES)


def test_a_table_is_read_again_when_it_changes(folder, tmp_path):
    table, stop = tmp_path / "elsewhere" / "types.csv", threading.Event()
    table.parent.mkdir()
    table.write_text(f"Name,Type\n{CREATURES[0]},fire\n")
    reports = pokesim.watch_folder(
        folder, tmp_path / "i", stop=stop, embedder="compact", metadata=table
    )
    assert next(reports).metadata.described == 1
    table.write_text(f"Name,Type\n{CREATURES[0]},fire\n{CREATURES[1]},grass\n")
    report = next(reports)
    assert (report.embedded, report.metadata.described) == (0, 2)
    stop.set()
    assert list(reports) == []


def test_what_will_not_pass_is_an_error(run, folder, index, monkeypatch, tmp_path):
    gone = run("watch", tmp_path / "nowhere")
    assert (gone.returncode, gone.stdout) == (1, "")
    assert gone.stderr == f"pokesim: There is no folder {tmp_path / 'nowhere'} to watch.\n"
    with pytest.raises(IncompatibleIndexError):
        next(pokesim.watch_folder(folder, index, embedder="resnet50"))
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(PokesimError, match=r"install it with `pip install 'pokesim\[watch\]'`"):
        pokesim.watch_folder(folder, index)
