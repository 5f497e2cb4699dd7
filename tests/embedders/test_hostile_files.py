"""A model folder from a stranger: each trick is refused in a sentence, and the process lives."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from support import networks
from support.networks import Graph, transformer, weights_of

from pokesim.embedders.files import source
from pokesim.embedders.prepare import prepare_model
from pokesim.errors import ModelError

SETTINGS = "pokesim-embedder.toml"
PLACE = "onnx/vision_model.onnx"

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def folder(tmp_path):
    """A folder as hubs publish them, which a test may spoil."""
    networks.write_published(tmp_path / "given", "clip")
    return tmp_path / "given"


def edited(folder, change):
    model = transformer("clip", weights_of("clip"))
    change(model)
    onnx.save(model, folder / PLACE)


def with_external(folder, location):
    """Let a tensor say that its numbers lie in another file."""

    def change(model):
        tensor = model.graph.initializer[0]
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", location
        tensor.ClearField("raw_data")

    edited(folder, change)


def with_huge_constant(folder):
    """Let the network compute a tensor of a terabyte from a few bytes, when it is loaded."""
    g = Graph()
    huge = g("ConstantOfShape", g.constant([500_000, 500_000], np.int64))
    total = g("ReduceSum", huge, g.constant([0, 1], np.int64), keepdims=0)
    mean = g("ReduceMean", "pixel_values", axes=[2, 3], keepdims=0)
    shapes = {"pixel_values": ["n", 3, 32, 32]}
    onnx.save(g.model(shapes, {"y": (g("Add", mean, total), ["n", 3])}), folder / PLACE)


def with_huge_shape(folder):
    def change(model):
        model.graph.initializer[0].dims[:] = [2**40, 2**40]

    edited(folder, change)


def nested(folder):
    """Nest graphs in the attributes of nodes of graphs."""

    def part(field, content):
        size, length = len(content), b""
        while size > 127:
            size, length = size >> 7, length + bytes([size & 127 | 128])
        return bytes([field << 3 | 2]) + length + bytes([size]) + content

    graph = b""
    for _ in range(40):
        graph = part(1, part(5, part(6, graph)))
    (folder / PLACE).write_bytes(part(7, graph))


def configured(folder, name, **values):
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


TRICKS = {
    "a path out": (
        lambda f: with_external(f, "../../secret"),
        "has weights in '../../secret', which is no plain name",
    ),
    "an absolute path": (lambda f: with_external(f, "/etc/passwd"), "has weights in '/etc/passwd'"),
    "a file that is missing": (
        lambda f: with_external(f, "weights.data"),
        "cannot be used (No such",
    ),
    "a huge constant": (with_huge_constant, "cannot be used"),
    "a huge shape": (with_huge_shape, "cannot be used"),
    "nested graphs": (nested, "nested too deeply"),
    "a torn file": (lambda f: os.truncate(f / PLACE, 20_000), "is damaged, or not ONNX"),
    "noise": (lambda f: (f / PLACE).write_bytes(b"\x08" * 999), "ends too early"),
    "many parts": (lambda f: (f / PLACE).write_bytes(b"\x08\x01" * 5_000_001), "too many parts"),
    "nothing": (lambda f: (f / PLACE).write_bytes(b""), "has 0 bytes"),
    "no JSON": (lambda f: (f / "config.json").write_text("{"), "config.json is not JSON"),
    "deep JSON": (lambda f: (f / "config.json").write_text("[" * 99_999), "is not JSON"),
    "much JSON": (lambda f: (f / "config.json").write_bytes(b" " * (9 << 20)), "more than 8 MiB"),
    "a huge side": (
        lambda f: configured(f, "preprocessor_config.json", crop_size=2**40),
        "crop_size must be a whole number from 1 to 4,096",
    ),
    "no deviation": (
        lambda f: configured(f, "preprocessor_config.json", image_std=[0, 0, 0]),
        "image_std must be a number from 1e-09",
    ),
    "a margin": (
        lambda f: configured(f, "preprocessor_config.json", do_pad=True),
        "asks for margins (do_pad)",
    ),
    "an unknown key": (
        lambda f: (f / SETTINGS).write_text("poling = 'cls'"),
        "unknown key, 'poling'. Did you mean pooling?",
    ),
    "a value out of range": (
        lambda f: (f / SETTINGS).write_text("layout = 'CHW'"),
        "layout must be NCHW or NHWC",
    ),
    "an output that is not there": (
        lambda f: (f / SETTINGS).write_text("output = 'x'"),
        "no output x, only image_embeds",
    ),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_spoilt_folder_is_refused_in_one_sentence(folder, trick):
    spoil, why = TRICKS[trick]
    spoil(folder)
    with pytest.raises(ModelError) as found:
        prepare_model(str(folder))
    text = str(found.value)
    assert why in text
    assert "\n" not in text
    assert text.endswith((".", "?"))
    assert len(text) < 700


def test_what_is_refused_leaves_nothing_and_exits_with_1(run, samples, folder):
    with_external(folder, "../x")
    done = run("build-index", samples.photos, "--embedder", folder)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert not [*Path(os.environ["POKESIM_CACHE"], "models/files").glob(".*")]


@pytest.mark.parametrize("place", ["onnx", PLACE, "config.json", SETTINGS])
def test_a_link_is_not_followed(folder, tmp_path, place):
    target = tmp_path / "target"
    if (folder / place).exists():
        (folder / place).rename(target)
    else:
        target.write_text("")
    (folder / place).symlink_to(target)
    with pytest.raises(ModelError, match=r"cannot be .* \(it is a link, which is not followed\)"):
        prepare_model(str(folder))


def test_a_file_beyond_the_limit_is_refused(folder, monkeypatch):
    monkeypatch.setattr(source, "MAX_BYTES", 1000)
    with pytest.raises(ModelError, match="from 1 to 1,000"):
        prepare_model(str(folder))


@pytest.mark.parametrize("name", ["model.pt", "pytorch_model.bin", "model.pkl", "weights.pth"])
def test_pickles_are_refused(tmp_path, name, monkeypatch):
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch x'\ntR.")
    monkeypatch.chdir(tmp_path)
    for given in (tmp_path / name, tmp_path, name):
        with pytest.raises(ModelError, match="a pickle, which could run any program"):
            prepare_model(str(given))


def keras_file(path, config, **more):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        files = {"config.json": json.dumps(config), "metadata.json": "{}", "model.weights.h5": b""}
        for name, content in {**files, **more}.items():
            archive.writestr(name, content)
    return path


LAMBDA = {"class_name": "Lambda", "module": "keras.layers", "config": {"function": "code"}}


@pytest.mark.parametrize(
    ("config", "more", "why"),
    [
        ({"config": {"layers": [LAMBDA]}}, {}, "of the kind Lambda, which runs code"),
        ({"class_name": "X", "module": "os"}, {}, r"a layer of its own \(X\)"),
        ({"class_name": "X", "registered_name": "mine>X"}, {}, r"a layer of its own \(X\)"),
        ({}, {"../../evil": b"x"}, "holds other files than a Keras network does"),
        ({}, {"model.weights.h5": b"0" * 2_000_000}, "unpacks to more than 1,000,000 bytes"),
    ],
)
def test_a_keras_file_that_runs_code_or_swells_is_refused(tmp_path, monkeypatch, config, more, why):
    path = keras_file(tmp_path / "net.keras", config, **more)
    monkeypatch.setattr(source, "MAX_BYTES", 1_000_000)
    with pytest.raises(ModelError, match=why):
        prepare_model(str(path))


def test_a_runtime_that_crashes_ends_only_the_process_that_tries(folder, monkeypatch):
    """Whatever a file does to a library, such as to abort, stays in the other process."""
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    (folder / "onnxruntime.py").write_text("import os; os.abort()")
    with pytest.raises(ModelError, match="ended the process that tried it, with code -6"):
        prepare_model(str(folder))


def test_a_network_for_several_things_names_the_part_for_pictures(folder):
    def both(model):
        extra = helper.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["n", 77])
        model.graph.input.append(extra)

    edited(folder, both)
    with pytest.raises(ModelError, match=r"needs pixel_values, input_ids at once; .*vision_model"):
        prepare_model(str(folder))
