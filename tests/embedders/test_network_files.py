"""Networks from files: their vectors are those of the files, and every command works with them."""

import json
import shutil

import numpy as np
import onnx
import openvino
import pytest
from PIL import Image
from support import networks
from support.memory_milvus import MemoryMilvus
from support.networks import CONFIGS, SIDE, transformer, vectors_of
from support.serving import serving

import pokesim
from pokesim.embedders.catalog import Compute, Runtime
from pokesim.embedders.model_cache import BUNDLED_FILE, contents_of, find_model, receive_model
from pokesim.embedders.prepare import prepare_model
from pokesim.embedders.runtimes import open_embedder
from pokesim.errors import IncompatibleIndexError, ModelError, PokesimError
from pokesim.images import pixels_of
from pokesim.index.milvus import store as milvus_store

SETTINGS = "pokesim-embedder.toml"

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Folders as hubs publish them, by kind, and their weights."""
    root = tmp_path_factory.mktemp("hub")
    return {kind: (root / kind, networks.write_published(root / kind, kind)) for kind in CONFIGS}


@pytest.fixture(scope="module")
def few(samples, tmp_path_factory):
    """A folder of a few pictures, two for each of three creatures."""
    folder = tmp_path_factory.mktemp("few")
    for photo in sorted(samples.photos.iterdir())[:3]:
        for path in (photo, samples.images / f"{photo.stem}.webp"):
            (folder / path.suffix[1:]).mkdir(exist_ok=True)
            shutil.copy(path, folder / path.suffix[1:])
    return folder


@pytest.fixture(scope="module")
def photos(samples):
    return sorted(samples.photos.iterdir())[:40]


def cosines(x, y):
    return (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_published_folder_gives_the_vectors_of_its_network(published, kind, photos):
    folder, weights = published[kind]
    model = prepare_model(str(folder))
    assert model.network.pooling == ("cls" if kind == "dinov2" else "vector")
    pixels = np.stack([pixels_of(path, model.network.frame) for path in photos])
    expected = vectors_of(kind, weights, pixels)
    vectors = open_embedder(model).embed(pixels)  # more than the few after which it is reopened
    assert cosines(vectors, expected).min() > 0.9999
    other = open_embedder(model, Compute(Runtime.OPENVINO))
    assert cosines(other.embed(pixels[:5]), expected[:5]).min() > 0.9999
    with pytest.raises(ModelError, match="keras does not run onnx files; omit --runtime"):
        open_embedder(model, Compute(Runtime.KERAS))


def test_openvino_and_litert_files_give_the_vectors_of_their_networks(published, photos, tmp_path):
    _, weights = published["clip"]
    onnx.save(transformer("clip", weights), tmp_path / "clip.onnx")
    openvino.save_model(
        openvino.convert_model(tmp_path / "clip.onnx"),
        tmp_path / "clip.xml",
        compress_to_fp16=False,
    )
    settings = CONFIGS["clip"][1]
    lines = f"size = {SIDE}\nresize = {SIDE}\ninterpolation = 'bicubic'\n"
    lines += f"mean = {settings['image_mean']}\nstd = {settings['image_std']}\n"
    (tmp_path / SETTINGS).write_text(f"{lines}licence = 'MIT'\n")
    model = prepare_model(str(tmp_path / "clip.xml"))
    assert (model.name, model.network.licence) == ("clip.xml", "MIT")
    pixels = np.stack([pixels_of(path, model.network.frame) for path in photos[:5]])
    assert (
        cosines(open_embedder(model).embed(pixels), vectors_of("clip", weights, pixels)).min()
        > 0.9999
    )

    folder = tmp_path / "lite"
    folder.mkdir()
    shutil.copy(BUNDLED_FILE, folder / "mine.tflite")
    (folder / SETTINGS).write_text("resize = 'squeeze'\nscale = 1\nmean = 0\nstd = 1\n")
    lite = prepare_model(str(folder))
    pixels = np.stack([pixels_of(path, 128) for path in photos[:5]])
    own = open_embedder(prepare_model("compact")).embed(pixels)
    np.testing.assert_allclose(open_embedder(lite).embed(pixels), own, atol=1e-5)


def test_commands_work_with_a_network_from_a_file(run, published, few, photos, tmp_path):
    folder, _ = published["dinov2"]
    index = tmp_path / "indexes/default"
    first = run("build-index", few / "webp", "--embedder", folder)
    assert first.returncode == 0, first.stderr
    again = run("build-index", few / "webp", "--embedder", folder)
    assert "Nothing to do" in again.stdout
    assert "Trying" not in again.stderr
    assert "1 new" in run("add", photos[5]).stdout
    assert "dinov2.onnx, weights" in run("info").stdout
    assert "\ndinov2.onnx  " in run("embedders").stdout
    assert run("check").returncode == 0
    answer = json.loads(run("query", few / "jpg", "--folder-as-query", "--format", "json").stdout)
    manifest = pokesim.open_index(index).manifest
    assert manifest.runtime == "onnxruntime"
    with pokesim.open_index(index) as opened:
        one = opened.query(few / "jpg" / photos[0].name, k=1)[0]
        assert one.distance == pytest.approx(answer[0]["matches"][0]["distance"], abs=1e-5)
    assert run("evaluate", few / "jpg").returncode == 0
    explained = run("query", photos[0], "--explain", "--save", tmp_path / "a.png")
    assert "dinov2.onnx cannot be explained: its vector is that of one token" in explained.stderr

    elsewhere = {"POKESIM_CACHE": str(tmp_path / "other")}
    missing = run("query", photos[0], **elsewhere)
    assert missing.returncode == 1
    assert "`pokesim embedders --prepare PATH`" in missing.stderr
    assert run("embedders", "--prepare", folder, **elsewhere).returncode == 0
    assert run("query", photos[0], "-k", "1", **elsewhere).returncode == 0

    with pytest.raises(
        IncompatibleIndexError, match=r"made with dinov2\.onnx, not with clip\.onnx"
    ):
        pokesim.build_index(few, index, embedder=str(published["clip"][0]))
    changed = tmp_path / "dinov2"
    shutil.copytree(folder, changed)
    (changed / SETTINGS).write_text('pooling = "mean"')
    with pytest.raises(IncompatibleIndexError, match=r"with other settings of dinov2\.onnx"):
        pokesim.build_index(few, index, embedder=str(changed))


def test_a_mean_over_places_is_explained_and_a_model_can_be_sent(published, few, photos, tmp_path):
    folder = tmp_path / "mean"
    shutil.copytree(published["dinov2"][0], folder)
    (folder / SETTINGS).write_text('pooling = "mean"\nname = "Mine (1)"')
    pokesim.build_index(few, tmp_path / "index", embedder=str(folder))
    index = pokesim.open_index(tmp_path / "index")
    assert index.manifest.embedder.name == "mine-1.onnx"
    assert index.explains
    wide = tmp_path / "wide.png"
    Image.open(photos[0]).resize((300, 100)).save(wide)
    match = index.query(wide, k=1)[0]
    found = index.explain(wide, match.path)
    assert found.similarity == pytest.approx(match.similarity, abs=0.01)
    assert found.photo.sum() == pytest.approx(found.similarity, abs=0.01)
    assert found.photo.shape[1] > 2 * found.photo.shape[0]
    assert not found.photo[:, 0].any(), "what is cut off adds nothing"

    model = find_model(index.manifest.embedder)
    contents = contents_of(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POKESIM_CACHE", str(tmp_path / "worker"))
        with pytest.raises(ModelError, match="damaged in transfer"):
            receive_model(model, dict.fromkeys(contents, b"0"))
        assert receive_model(model, contents).network == model.network
        assert index.query(photos[1], k=1)


def test_the_library_that_is_missing_is_named(published, monkeypatch):
    model = prepare_model(str(published["clip"][0]))
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ModelError, match=r"pip install 'pokesim\[onnx\]'"):
        open_embedder(model)


def test_weights_in_files_of_their_own_are_used_and_names_do_not_matter(
    published, few, photos, tmp_path
):
    folder, weights = published["clip"]
    shutil.copytree(folder, tmp_path / "given (1)")
    place = tmp_path / "given (1)/onnx/vision_model.onnx"
    onnx.save(
        transformer("clip", weights),
        place,
        save_as_external_data=True,
        location="vision_model.onnx_data",
        size_threshold=100,
    )
    pokesim.build_index(few, tmp_path / "index", embedder=str(tmp_path / "given (1)"))
    opened = pokesim.open_index(tmp_path / "index")
    assert set(opened.manifest.embedder.network.files) == {
        "vision_model.onnx",
        "vision_model.onnx_data",
    }
    pixels = pixels_of(photos[0], opened.manifest.embedder.frame)[None]
    assert cosines(opened.embed(pixels), vectors_of("clip", weights, pixels)).min() > 0.9999
    (tmp_path / "given (1)").rename(tmp_path / "renamed")
    again = pokesim.build_index(few, tmp_path / "index", embedder=str(tmp_path / "renamed"))
    assert not again.changed
    place = tmp_path / "naïve ☺.onnx"
    shutil.copy(folder / "onnx/vision_model.onnx", place)
    (tmp_path / SETTINGS).write_text(f"size = {SIDE}")
    assert prepare_model(str(place)).name == "na-ve.onnx"
    pokesim.build_index(few, tmp_path / "odd", embedder=str(place))
    assert set(pokesim.open_index(tmp_path / "odd").manifest.embedder.network.files) == {
        "model.onnx"
    }


def test_a_bare_file_is_used_as_most_networks_are_or_says_what_it_lacks(published, tmp_path):
    bare = tmp_path / "bare.onnx"
    model = transformer("clip", published["clip"][1])
    onnx.save(model, bare)
    with pytest.raises(ModelError, match=f"any size; set size in {SETTINGS}"):
        prepare_model(str(bare))
    shape = model.graph.input[0].type.tensor_type.shape.dim
    for dimension, size in zip(shape, (1, 3, 32, 32), strict=True):
        dimension.dim_value = size
    onnx.save(model, bare)
    found = prepare_model(str(bare))
    assert (found.network.side, found.network.resize) == (32, 37)
    assert found.network.mean == (0.485, 0.456, 0.406)
    assert prepare_model("bare.onnx") == found, "the name in the list names it too"
    for name, why in (
        ("./gone.onnx", "There is no file or folder"),
        ("./" + "x" * 999, "too long"),
    ):
        with pytest.raises(ModelError, match=why):
            prepare_model(name)
    with pytest.raises(PokesimError, match="--weights is for a Keras network"):
        prepare_model(str(bare), bare)


def test_a_server_workers_and_milvus_answer_as_the_index_does(
    published, few, photos, tmp_path, monkeypatch
):
    folder, _ = published["clip"]
    index = tmp_path / "index"
    with pokesim.open_workers(1) as workers:
        pokesim.build_index(few, index, embedder=str(folder), workers=workers)
    opened = pokesim.open_index(index)
    expected = [match.distance for match in opened.query(photos[7], k=3)]
    with serving(index) as server:
        found = server.post("/api/search?k=3", photos[7]).json["matches"]
        assert server.get("/api/info").json["embedder"] == "clip.onnx"
    assert [match["distance"] for match in found] == pytest.approx(expected, abs=1e-4)
    memory = MemoryMilvus()
    monkeypatch.setattr(milvus_store, "Client", lambda address: memory)
    pokesim.push_index(index, "milvus://127.0.0.1:1/here")
    there = pokesim.open_index("milvus://127.0.0.1:1/here")
    assert there.manifest.embedder == opened.manifest.embedder
    assert [one.distance for one in there.query(photos[7], k=3)] == pytest.approx(expected)
