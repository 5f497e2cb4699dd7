"""`pokesim serve --watch`: the server answers while it keeps its index up to date."""

import shutil
import time

from support.serving import serving

import pokesim
from pokesim.samples import CREATURES


def test_a_picture_that_is_added_is_found_soon(samples, tmp_path):
    folder, index = tmp_path / "pictures", tmp_path / "index"
    folder.mkdir()
    for name in CREATURES[:3]:
        shutil.copy(samples.images / f"{name}.webp", folder)
    pokesim.build_index(folder, index, embedder="compact")
    new = samples.images / f"{CREATURES[5]}.webp"
    with serving(index, "--watch") as server:
        assert server.post("/api/search?k=1", new).json["matches"][0]["label"] != new.stem
        shutil.copy(new, folder)
        (folder / "broken.png").write_bytes(b"\x89PNG")
        until = time.monotonic() + 20
        while server.post("/api/search?k=1", new).json["matches"][0]["label"] != new.stem:
            assert time.monotonic() < until, server.lines
        assert server.end() == 0
    said = "".join(server.lines)
    assert "skipped broken.png: " in said
    assert f"1 new: {index} has 4 pictures.\n" in said


def test_only_a_folder_of_this_machine_can_be_watched(run, tmp_path, samples):
    shutil.copytree(samples.photos, tmp_path / "photos")
    pokesim.build_index(tmp_path / "photos", tmp_path / "index", embedder="compact")
    shutil.rmtree(tmp_path / "photos")
    done = run("serve", "--watch", "--index", tmp_path / "index", "--port", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"pokesim: --watch is for an index in a folder, of pictures on this machine; "
        f"{tmp_path / 'index'} has those of {tmp_path / 'photos'}.\n"
    )
