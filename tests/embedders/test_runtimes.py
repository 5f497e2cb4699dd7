"""Runtimes: all runtimes and precisions give the same neighbours, or say what is missing."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

import pokesim
from pokesim.embedders.catalog import Compute, Precision, Runtime
from pokesim.embedders.prepare import prepare_model
from pokesim.embedders.runtimes import open_embedder
from pokesim.errors import ModelError, UsageError
from pokesim.images import pixels_of

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="OpenVINO has no wheel for this machine"
)


def has_bfloat16():
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@needs_openvino
@pytest.mark.parametrize("precision", list(Precision))
def test_openvino_gives_the_vectors_of_litert(precision, samples):
    if precision is Precision.BFLOAT16 and not has_bfloat16():
        pytest.skip("this processor has no bfloat16")
    model = prepare_model("compact")
    litert = open_embedder(model)
    other = open_embedder(model, Compute(Runtime.OPENVINO, precision))
    assert (other.side, other.dimension) == (litert.side, litert.dimension)
    paths = sorted(samples.images.iterdir())[:11]
    pixels = np.stack([pixels_of(path, litert.side) for path in paths])
    expected, first, again = litert.embed(pixels), other.embed(pixels[:4]), other.embed(pixels[4:])
    cosines = (expected * np.concatenate([first, again])).sum(1)
    assert cosines.min() > (0.99999 if precision is Precision.FLOAT32 else 0.995)


@needs_openvino
@pytest.mark.parametrize("precision", list(Precision))
def test_an_index_built_by_one_runtime_can_be_queried_with_another(
    run, index_path, samples, tmp_path, precision
):
    if precision is Precision.BFLOAT16 and not has_bfloat16():
        pytest.skip("this processor has no bfloat16")
    options = ("--runtime", "openvino", "--precision", precision)
    built = run("build-index", samples.images, "--embedder", "compact", *options)
    assert built.returncode == 0, built.stderr
    assert f"by openvino in {precision}" in run("info").stdout
    photos = sorted(samples.photos.iterdir())
    litert = run("query", *photos, "-k", "1", "--index", index_path, "--format", "json")
    here = run("query", *photos, "-k", "1", "--format", "json")
    there = run("query", *photos, "-k", "1", "--index", index_path, "--format", "json", *options)
    first = [
        [answer["matches"][0]["label"] for answer in json.loads(done.stdout)]
        for done in (litert, here, there)
    ]
    for other in first[1:]:
        agree = sum(a == b for a, b in zip(first[0], other, strict=True))
        assert agree == len(photos) if precision is Precision.FLOAT32 else agree >= 38


def test_keras_gives_the_vectors_of_the_exported_model(seeded_weights, samples):
    code = (
        "import sys, numpy as np; from pathlib import Path;"
        "from pokesim.embedders.prepare import prepare_model;"
        "from pokesim.embedders.runtimes import open_embedder;"
        "from pokesim.embedders.catalog import Compute, Runtime;"
        "from pokesim.images import pixels_of;"
        "model = prepare_model('mobilenet_v2', Path(sys.argv[1]));"
        "x = np.stack([pixels_of(path, 224) for path in sys.argv[2:]]);"
        "runtimes = Runtime.LITERT, Runtime.KERAS;"
        "a, b = (open_embedder(model, Compute(one)).embed(x) for one in runtimes);"
        "print((np.sum(a * b, 1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())"
    )
    photos = sorted(samples.photos.iterdir())[:3]
    command = [sys.executable, "-c", code, str(seeded_weights("MobileNetV2")), *map(str, photos)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert float(done.stdout.split()[-1]) > 0.99999


def test_an_unsupported_runtime_or_precision_gives_a_clear_error(run, samples, tmp_path):
    few = ("build-index", samples.photos, "--embedder", "compact")
    done = run(*few, "--precision", "bfloat16", "--runtime", "litert")
    assert done.returncode == 2
    assert "bfloat16 needs --runtime openvino" in done.stderr
    assert "compact is not a Keras network" in run(*few, "--runtime", "keras").stderr
    with pytest.raises(UsageError, match="no runtime onnx; choose one of litert, openvino, keras"):
        pokesim.open_index(tmp_path, runtime="onnx")
    with pytest.raises(UsageError, match="no precision int4"):
        pokesim.open_index(tmp_path, precision="int4")


def test_without_openvino_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)  # as if it were not installed
    with pytest.raises(ModelError, match=r"pip install 'pokesim\[openvino\]'"):
        open_embedder(prepare_model("compact"), Compute(Runtime.OPENVINO))


def test_keras_without_the_weights_file_asks_for_it(seeded_weights):
    from dataclasses import replace

    model = prepare_model("mobilenet_v2", seeded_weights("MobileNetV2"))
    with pytest.raises(ModelError, match="give it with --weights"):
        open_embedder(replace(model, weights=None), Compute(Runtime.KERAS))
