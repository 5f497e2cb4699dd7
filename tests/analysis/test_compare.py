"""`pokesim embedders --compare`: which network suits labelled pictures."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from pokesim.analysis.compare import compare_embedders
from pokesim.errors import IndexFolderError


@pytest.fixture(scope="module")
def labelled(samples, tmp_path_factory):
    """Return a folder with a subfolder for each of ten creatures, of four pictures each."""
    root = tmp_path_factory.mktemp("labelled")
    for picture in sorted(samples.images.iterdir())[:40:4]:
        folder = root / picture.stem
        folder.mkdir()
        shutil.copy(picture, folder / picture.name)
        with Image.open(picture) as opened:
            rgb = opened.convert("RGBA")
        rgb.rotate(8, expand=True).save(folder / "turned.png")
        rgb.resize((90, 90)).save(folder / "small.png")
        rgb.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "mirrored.webp")
    (root / "alone").mkdir()
    shutil.copy(picture, root / "alone" / "alone.png")
    (root / "alone" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return root


def test_the_networks_are_ranked_and_one_is_recommended(run, labelled, general):
    done = run("embedders", "--compare", labelled, "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = {row["embedder"]: row for row in json.loads(done.stdout)}
    assert {"general", "compact", "efficientnet_lite0"} <= set(rows)
    recalls = [row["R@1"] for row in rows.values()]
    assert recalls == sorted(recalls, reverse=True)
    assert rows["compact"]["R@1"] > 0.9
    assert rows["general"]["bytes"] == 4 * 640
    (recommended,) = [row for row in rows.values() if row["recommended"]]
    good = [row for row in rows.values() if row["p"] >= 0.05]
    assert recommended["ms"] == min(row["ms"] for row in good)
    assert f"Recommended: {recommended['embedder']}, " in done.stderr
    assert "on 40 pictures in 10 folders." in done.stderr


def test_the_share_of_right_answers_is_that_of_brute_force(labelled):
    from pokesim.embedders.prepare import prepare_model
    from pokesim.embedders.runtimes import open_embedder
    from pokesim.images import pixels_of
    from pokesim.metric import normalized

    found = compare_embedders(labelled, ["compact"])
    paths = [path for path in sorted(labelled.rglob("*")) if path.is_file()]
    paths = [path for path in paths if path.parent.name != "alone"]
    embedder = open_embedder(prepare_model("compact"))
    rows = np.concatenate([embedder.embed(pixels_of(path, 128)[None]) for path in paths])
    similarities = normalized(rows) @ normalized(rows).T
    np.fill_diagonal(similarities, -1)
    right = [
        path.parent == paths[one].parent
        for path, one in zip(paths, similarities.argmax(1), strict=True)
    ]
    assert found.rows[0].recall == pytest.approx(np.mean(right))
    assert (found.pictures, found.folders, found.recommended) == (40, 10, "compact")


def test_a_folder_without_kinds_is_refused(run, samples, tmp_path):
    done = run("embedders", "--compare", samples.images)
    assert done.returncode == 1
    assert "needs a subfolder for each kind of picture" in done.stderr
    with pytest.raises(IndexFolderError, match="no folder"):
        compare_embedders(tmp_path / "nowhere")
