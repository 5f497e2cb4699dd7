"""The runtime and the precision of a build, when they are left to pokesim."""

import importlib.util
import logging
import re

import numpy as np
import pytest

from pokesim.build.compute import OPENVINO, fastest_embedder
from pokesim.embedders.catalog import LITERT
from pokesim.embedders.litert import LiteRTEmbedder
from pokesim.embedders.prepare import prepare_model
from pokesim.embedders.runtimes import open_embedder
from pokesim.images import pixels_of

has_openvino = importlib.util.find_spec("openvino") is not None


@pytest.fixture(scope="module")
def batch(samples):
    """Return the pixels of 32 pictures for `compact`."""
    return np.stack([pixels_of(path, 128) for path in sorted(samples.images.iterdir())[:32]])


def test_a_short_build_uses_litert(batch, caplog):
    caplog.set_level(logging.INFO)
    embedder, compute = fastest_embedder(prepare_model("compact"), batch, 2999)
    assert compute == LITERT
    assert embedder.embed(batch).shape == (32, 256)
    assert not caplog.records


@pytest.mark.skipif(not has_openvino, reason="OpenVINO has no wheel for this machine")
def test_a_long_build_uses_what_it_measured_to_be_faster(batch, caplog):
    caplog.set_level(logging.INFO)
    embedder, compute = fastest_embedder(prepare_model("compact"), batch, 10_000_000)
    times = re.search(r"LiteRT takes (\S+) ms a picture, OpenVINO (\S+)\.", caplog.text)
    assert times, caplog.text
    litert, openvino = map(float, times.groups())
    rounding = 0.1
    if compute == OPENVINO:
        assert openvino <= 0.9 * litert + rounding
    else:
        assert openvino >= 0.9 * litert - rounding
    assert f"Using {'OpenVINO' if compute == OPENVINO else 'LiteRT'}:" in caplog.text
    expected = LiteRTEmbedder(prepare_model("compact").path).embed(batch)
    assert (embedder.embed(batch) * expected).sum(axis=1).min() > 0.99999


def test_without_openvino_a_long_build_names_the_extra(batch, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("pokesim.build.compute.find_spec", lambda name: None)
    assert fastest_embedder(prepare_model("compact"), batch, 10_000_000)[1] == LITERT
    assert "pip install 'pokesim[openvino]'" in caplog.text


def test_a_large_batch_gives_the_vectors_of_its_pictures_alone_bit_for_bit(batch, general, samples):
    for model, pixels in ((prepare_model("compact"), batch), (general, _larger(samples))):
        embedder = open_embedder(model)
        alone = np.concatenate([embedder.embed(one[None]) for one in pixels])
        assert np.array_equal(embedder.embed(pixels), alone)
        assert np.array_equal(embedder.embed(pixels[:9]), alone[:9])


def _larger(samples):
    return np.stack([pixels_of(path, 224) for path in sorted(samples.images.iterdir())[:11]])


def test_precision_auto_measures_and_then_keeps_the_precision_of_the_index(run, samples):
    build = ("build-index", samples.images, "--embedder", "compact", "--precision", "auto")
    built = run(*build)
    assert built.returncode == 0, built.stderr
    chosen = re.search(r"The build computes in (bfloat16|float32): ", built.stderr)
    assert chosen, built.stderr
    runtime = "openvino" if chosen[1] == "bfloat16" else "litert"
    assert f"by {runtime} in {chosen[1]}" in run("info").stdout
    again = run(*build)
    assert "Nothing to do" in again.stdout
    assert "The build computes" not in again.stderr


@pytest.mark.skipif(not has_openvino, reason="OpenVINO has no wheel for this machine")
def test_precision_auto_is_float32_for_few_pictures_and_for_other_runtimes(run, samples, tmp_path):
    few = ("build-index", samples.photos, "--embedder", "compact", "--precision", "auto")
    assert "The build computes in float32: " in run(*few).stderr
    done = run(*few, "--runtime", "litert", "--rebuild")
    assert done.returncode == 0
    assert "The build computes" not in done.stderr
    assert "by litert in float32" in run("info").stdout
