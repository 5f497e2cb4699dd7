"""Words for networks with a part for text: any text is searched with, exactly."""

import json
import shutil
import sys

import numpy as np
import onnx
import pytest
from support import networks
from support.hub import hub_of
from support.networks import Graph
from support.text_towers import LENGTHS, text_vectors, write_both

import pokesim
from pokesim.embedders.catalog import CATALOG
from pokesim.embedders.files import source
from pokesim.embedders.prepare import prepare_model
from pokesim.embedders.words.vectors import open_words
from pokesim.errors import ModelError, UsageError
from pokesim.mcp.tools import Tools
from pokesim.metric import normalized

TEXTS = [
    "two parrots on a branch",
    "A Golden  RETRIEVER at night!",
    "ünïcödé 漢字 🙂",
    "the old bridge over the river " * 30,
    "x",
]

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Folders with both parts, by kind, and the weights of those for text."""
    root = tmp_path_factory.mktemp("hub")
    return {kind: (root / kind, write_both(root / kind, kind)) for kind in LENGTHS}


@pytest.fixture(scope="module")
def few(samples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("few")
    for path in sorted(samples.photos.iterdir())[:8]:
        shutil.copy(path, folder)
    return folder


@pytest.mark.parametrize("kind", LENGTHS)
def test_the_vectors_of_words_are_those_of_the_network(published, kind):
    folder, weights = published[kind]
    model = prepare_model(str(folder))
    assert model.network.text.length == LENGTHS[kind]
    expected = normalized(text_vectors(folder, kind, weights, TEXTS))
    embed = open_words(model)
    found = np.concatenate([embed(text) for text in TEXTS])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert (found * expected).sum(axis=1).min() > 0.9999
    assert (normalized(expected) @ expected.T)[0, 1] < 0.999, "texts differ"


def nearest(index, query, k=5):
    xb = index.vectors(np.arange(len(index))).astype(np.float64)
    return np.argsort(-xb @ query, kind="stable")[:k].tolist()


def ids(matches):
    return [match.id for match in matches]


def test_any_words_find_pictures_on_every_way_in(run, published, few, tmp_path):
    folder, weights = published["clip"]
    index_folder = tmp_path / "indexes/default"
    built = run("build-index", few, "--embedder", folder)
    assert built.returncode == 0, built.stderr
    assert "words     any" in run("info").stdout
    text = TEXTS[0]
    (expected,) = normalized(text_vectors(folder, "clip", weights, [text]))
    found = run("query", "--words", text, "-k", "5", "--format", "json", "--save", "a.png")
    assert (found.returncode, found.stderr) == (0, "")
    (answer,) = json.loads(found.stdout)
    assert (answer["words"], answer["verdict"]) == (text, "nearest to the words")
    with pokesim.open_index(index_folder) as index:
        assert ids(index.query(words=f" {text} ")) == nearest(index, expected)
        assert [one["path"] for one in answer["matches"]] == [
            str(index.path_of(index.items[at])) for at in nearest(index, expected)
        ]
        photo = next(few.iterdir())
        assert index.query(photo, words=text)[0].resembles is not None
        tool = Tools(str(index_folder), index)
        assert tool.info().structured_content["words"] == "any"
        said = tool.query(words=text, k=5, thumbnails=False).structured_content
        assert said["matches"] == answer["matches"]
        mixed = tool.query(str(photo), words=text, without_words="x", thumbnails=False)
        assert mixed.structured_content["with"] == [{"words": text, "weight": 1.0}]

    missing = run("query", "--words", text, POKESIM_CACHE=str(tmp_path / "other"))
    assert missing.returncode == 1
    assert "The index was built with clip.onnx (SHA-256 " in missing.stderr
    assert "`pokesim embedders --prepare PATH`" in missing.stderr


def test_an_index_that_reads_no_words_names_what_does(few, tmp_path, monkeypatch):
    networks.write_published(tmp_path / "dinov2", "dinov2")
    pokesim.build_index(few, tmp_path / "index", embedder=str(tmp_path / "dinov2"))
    with (
        pokesim.open_index(tmp_path / "index") as index,
        pytest.raises(UsageError) as found,
    ):
        index.query(words="dog")
    assert str(found.value).startswith("dinov2.onnx knows no words; general, general_lite2, ")
    assert "clip_vit_b32, siglip2_base read any" in str(found.value)


def test_vectors_of_any_length_are_not_searched_with_words(published, few, tmp_path):
    folder, _ = published["siglip"]
    pokesim.build_index(few, tmp_path / "index", embedder=str(folder), normalize=False)
    with (
        pokesim.open_index(tmp_path / "index") as index,
        pytest.raises(UsageError, match="--normalize --rebuild"),
    ):
        index.query(words="dog")


def test_both_parts_come_from_the_hub(published, tmp_path, monkeypatch):
    name = "siglip2_base"
    repository = CATALOG[name].hub.repository
    folder, weights = published["siglip"]
    with hub_of(folder, repository) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("POKESIM_CACHE", str(tmp_path / "cache"))
        model = prepare_model(name)
        fetched = {path.rpartition("/")[2] for path, _ in hub.asked if "/resolve/" in path}
    assert fetched == {
        "config.json",
        "preprocessor_config.json",
        "text_model.onnx",
        "tokenizer.json",
        "tokenizer_config.json",
        "vision_model.onnx",
    }
    assert set(model.network.files) == {"text_model.onnx", "tokenizer.json", "vision_model.onnx"}
    (expected,) = normalized(text_vectors(folder, "siglip", weights, TEXTS[1:2]))
    assert open_words(model)(TEXTS[1])[0] @ expected > 0.9999


def with_other_inputs(folder):
    g = Graph()
    shapes = {"input_ids": ["n", 77], "bbox": ["n", 4]}
    mean = g("ReduceMean", g("Concat", "input_ids", "bbox", axis=1), axes=[1], keepdims=1)
    onnx.save(g.model(shapes, {"text_embeds": (mean, ["n", 1])}), folder / "onnx/text_model.onnx")


def edited(folder, change):
    path = folder / "tokenizer.json"
    made = json.loads(path.read_text())
    change(made)
    path.write_text(json.dumps(made))


TRICKS = {
    "no JSON": (lambda f: (f / "tokenizer.json").write_text("{"), "damaged, or no tokenizer"),
    "nothing": (lambda f: (f / "tokenizer.json").write_bytes(b""), "has 0 bytes"),
    "a list": (lambda f: (f / "tokenizer.json").write_text("[]"), "damaged, or no tokenizer"),
    "deep JSON": (
        lambda f: (f / "tokenizer.json").write_text("[" * 99_999),
        "damaged, or no tokenizer",
    ),
    "another kind": (
        lambda f: edited(f, lambda made: made["model"].update(type="Pickle")),
        "damaged, or no tokenizer",
    ),
    "bytes": (lambda f: (f / "tokenizer.json").write_bytes(b"\xff" * 99), "damaged, or no"),
    "a huge file": (lambda f: (f / "tokenizer.json").write_bytes(bytes(4000)), "to 3,000 are"),
    "a link": (
        lambda f: ((f / "tokenizer.json").unlink(), (f / "tokenizer.json").symlink_to("x")),
        "cannot be used",
    ),
    "ids beyond the table": (
        lambda f: edited(f, lambda made: made["post_processor"]["cls"].__setitem__(1, 99_999)),
        "failed on 'two parrots on a branch'",
    ),
    "an unknown token that fills": (
        lambda f: (f / "tokenizer_config.json").write_text('{"pad_token": "<x>"}'),
        "has no token '<x>'",
    ),
    "other inputs": (with_other_inputs, "its part for text needs input_ids, bbox"),
    "too many tokens": (
        lambda f: (f / "config.json").write_text(
            '{"model_type": "clip", "text_config": {"max_position_embeddings": 99999}}'
        ),
        "max_position_embeddings must be a whole number from 1 to 4,096",
    ),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_spoilt_part_for_text_is_refused_in_one_sentence(published, tmp_path, monkeypatch, trick):
    folder = tmp_path / "given"
    shutil.copytree(published["clip"][0], folder)
    spoil, why = TRICKS[trick]
    spoil(folder)
    if trick == "a huge file":
        monkeypatch.setattr(source, "MAX_TOKENIZER", 3000)
    with pytest.raises(ModelError) as found:
        prepare_model(str(folder))
    text = str(found.value)
    assert why in text
    assert "\n" not in text
    assert len(text) < 700


def test_a_missing_library_is_named(published, monkeypatch):
    model = prepare_model(str(published["clip"][0]))
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ModelError, match=r"`pip install 'pokesim\[onnx\]'`"):
        open_words(model)
