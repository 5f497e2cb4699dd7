"""An index from a stranger stays in its folder, and a wrong manifest is refused in a sentence."""

import contextlib
import hashlib
import json
import os
import shutil

import pytest
from stress.forged.sealing import current, forge

import pokesim
from pokesim.errors import CorruptIndexError, IndexFolderError, ModelError, PokesimError, UsageError
from pokesim.index.manifest import Manifest


@pytest.fixture
def index(index_path, tmp_path):
    """A copy of the index that a test may forge."""
    return shutil.copytree(index_path, tmp_path / "received" / "index")


def entry(size=1):
    return {"bytes": size, "sha256": "0" * 64}


def refuses(index, match):
    """Check that opening, checking and repairing refuse an index, each in a sentence."""
    for operation in (pokesim.open_index, lambda one: list(pokesim.check_index(one))):
        with pytest.raises(IndexFolderError, match=match) as found:
            operation(index)
        assert "\n" not in str(found.value)


def test_repair_writes_no_file_outside_the_index(run, samples, tmp_path):
    """To build the candidate index again, a repair takes over the other files by their names."""
    index = tmp_path / "received" / "index"
    pokesim.build_index(samples.images, index, embedder="compact", search="pca")
    victim, load = index.parent / "victim", b"what the stranger wants there"
    victim.write_text("what the user would miss")
    (index / "victim").write_bytes(load)  # ../../victim, from the snapshot

    def to_the_victim(snapshot):
        sha256 = hashlib.sha256(load).hexdigest()
        snapshot.manifest["files"]["../../victim"] = {"bytes": len(load), "sha256": sha256}
        snapshot.manifest["files"]["search.faiss"]["sha256"] = "0" * 64

    forge(index, to_the_victim)
    refuses(index, "files has characters that it cannot have")
    done = run("check", "--repair", "--index", index)
    assert victim.read_text() == "what the user would miss"
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "Nothing of" in done.stderr


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        (("count",), True, "count must be a whole number"),
        (("count",), 150, "files.vectors.faiss is not the size"),
        (("dimension",), 2**40, "dimension must be a whole number from 1 to 16,384"),
        (("embedder", "name"), "../../evil", "embedder.name has characters"),
        (("embedder", "side"), 128.0, "embedder.side must be a whole number"),
        (("search", "used"), "HNSW32", "search is not one that this pokesim knows"),
        (("search", "recall"), 1.5, "search.recall must be a number from 0 to 1"),
        (("skipped",), [{"path": "a"}], "skipped has a value whose it lacks reason"),
        (("images",), "pictures", "images must be an absolute path"),
        (("metric",), "IP", "metric must be L2"),
        (("created",), "9999-99-99T00:00:00Z", "created is not a time"),
        (("surprise",), 1, "has fields this pokesim does not know"),
        (("files", "more"), entry(), "files must be items.sqlite, vectors.faiss"),
    ],
)
def test_a_wrong_field_is_named(index, field, value, match):
    def wrong(snapshot):
        target = snapshot.manifest
        for name in field[:-1]:
            target = target[name]
        target[field[-1]] = value

    forge(index, wrong)
    refuses(index, match)


NETWORK = {
    "format": "onnx",
    "files": {"model.onnx": {"bytes": 9, "sha256": "a" * 64}},
    "side": 224,
    "dimension": 256,
    "resize": 256,
    "interpolation": "bicubic",
    "scale": 1 / 255,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "layout": "NCHW",
    "input": "pixel_values",
    "output": "image_embeds",
    "pooling": "vector",
    "prefix": 0,
    "batch": 0,
    "licence": "",
    "origin": None,
    "text": None,
}

TEXT = {
    "output": "text_embeds",
    "length": 77,
    "pad": 0,
    "is_left": False,
    "is_masked": True,
    "is_lower": False,
}


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({}, None),
        ({"files": {"../model.onnx": NETWORK["files"]["model.onnx"]}}, "files has characters"),
        ({"files": {".card": NETWORK["files"]["model.onnx"]}}, "files has characters"),
        ({"files": {"model.onnx": {"bytes": 9, "sha256": "b" * 64}}}, "not the network that side"),
        ({"side": 128}, "network.* is not the network that side"),
        ({"resize": 100}, "resize is less than side"),
        ({"std": [0.5, 0.5, 0]}, "std has a value whose it must be a number from 1e-09"),
        ({"mean": [0.5]}, "mean must be 3 values"),
        ({"interpolation": "area"}, "interpolation must be nearest or"),
        ({"pooling": "max"}, "pooling must be vector or cls"),
        ({"format": "pickle"}, "format must be onnx or"),
        ({"origin": {"repository": "x/../y", "commit": "0" * 40}}, "repository has characters"),
        ({"text": {**TEXT, "length": 10**6}}, "length must be a whole number from 1 to 4,096"),
        ({"text": {**TEXT, "pad": "<pad>"}}, "pad must be a whole number"),
        ({"text": {**TEXT, "code": "x.py"}}, "text has fields this pokesim does not know"),
        ({"trust_remote_code": True}, "network has fields this pokesim does not know"),
    ],
)
def test_what_is_said_of_a_network_from_a_file_is_checked(index, changed, match):
    def wrong(snapshot):
        network = {**NETWORK, **changed}
        made_by = {"name": "x.onnx", "side": 224, "weights_sha256": "a" * 64, "network": network}
        snapshot.manifest["embedder"].update(made_by)

    forge(index, wrong)
    if match:
        refuses(index, match)
    else:
        with pytest.raises(ModelError, match=r"which is not in .*--prepare PATH"):
            list(pokesim.check_index(index))


@pytest.mark.parametrize("name", ["general", "compact", "dinov2_small", "x.onnx"])
def test_a_network_from_a_file_bears_no_name_of_the_catalogue(index, name):
    def wrong(snapshot):
        origin = {"repository": "x/y", "commit": "0" * 40} if name == "compact" else None
        network = {"network": {**NETWORK, "origin": origin}} if "." not in name else {}
        made_by = {"name": name, "side": 224, "weights_sha256": "a" * 64, **network}
        snapshot.manifest["embedder"].update(made_by)

    forge(index, wrong)
    refuses(index, "embedder.name (is that of another embedder|has characters)")


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"count": ' + b"9" * 5000 + b"}",
        b'{"count": NaN}',
        b'{"count": 1, "count": 2}',
        b"\xff\xfe{}",
        b"[" + b"[]," * 1_000_000 + b"[]]",
        b" " * (40 << 20),
    ],
    ids=["deep", "long number", "NaN", "twice", "not UTF-8", "many lists", "large"],
)
def test_text_that_no_build_writes_is_refused(index, text):
    def wrong(snapshot):
        snapshot.text = text

    forge(index, wrong)
    refuses(index, r"manifest\.json is damaged; build the index again")
    with pytest.raises(ValueError, match=r"it |utf-8|Exceeds"):
        Manifest.from_json(text)


def test_a_long_list_of_skipped_files_is_read(index):
    skipped = [{"path": f"{n}.png", "reason": "damaged \0 file"} for n in range(50_000)]
    forge(index, lambda snapshot: snapshot.manifest.update(skipped=skipped))
    with pokesim.open_index(index) as opened:
        assert len(opened.manifest.skipped) == 50_000


def link(path, tmp_path):
    other = path.rename(tmp_path / "other")
    path.symlink_to(other)


def content(path):
    """Return the bytes of a file, or of the files below a folder."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return {one: one.read_bytes() for one in files if one.is_file()}


def pipe(path, _):
    path.unlink()
    os.mkfifo(path)


def folder(path, _):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", ["manifest.json", "items.sqlite", "vectors.faiss"])
@pytest.mark.parametrize("how", [link, pipe, folder])
def test_only_regular_files_of_the_snapshot_are_read(index, tmp_path, name, how):
    how(current(index) / name, tmp_path)
    refuses(index, name)


@pytest.mark.parametrize("name", ["snapshots", "CURRENT", "snapshot"])
def test_a_link_elsewhere_is_not_followed(index, tmp_path, name):
    path = current(index) if name == "snapshot" else index / name
    link(path, tmp_path)
    with pytest.raises(PokesimError, match="link"):
        pokesim.open_index(index)
    before = content(tmp_path / "other")
    with contextlib.suppress(PokesimError):  # a new pointer replaces the link
        list(pokesim.repair_index(index))
    assert content(tmp_path / "other") == before


@pytest.mark.parametrize("name", ["lock", "lock.holder", "labelled", ".building", ".unfinished/x"])
def test_nothing_is_written_through_a_link(run, index, samples, tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("what the user would miss")
    (index / name).parent.mkdir(exist_ok=True)
    (index / name).unlink(missing_ok=True)
    (index / name).symlink_to(victim)
    for command in (
        ["build-index", samples.photos],
        ["check", "--repair"],
        ["tune", samples.photos],
    ):
        done = run(*command, "--index", index)
        assert done.returncode in (0, 1)
        assert "Unexpected" not in done.stderr
    assert victim.read_text() == "what the user would miss"


def test_stray_entries_beside_the_snapshots_are_ignored(index, samples, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "manifest.json").write_text("{}")
    snapshots = index / "snapshots"
    (snapshots / "notes.txt").write_text("x")
    (snapshots / "20990101T000000.000000Z-0123456789abcdef").symlink_to(outside)
    stuck = snapshots / "20990101T000001.000000Z-0123456789abcdef"
    stuck.mkdir()
    os.mkfifo(stuck / "manifest.json")
    assert list(pokesim.repair_index(index)) == []
    assert pokesim.remove_pictures(["brumbel"], index).changed
    assert (outside / "manifest.json").exists()
    assert (snapshots / "notes.txt").exists()


def test_a_snapshot_that_is_gone_is_reported_in_a_sentence(run, index):
    shutil.rmtree(current(index))
    done = run("query", "x.png", "--index", index)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "cannot be read (No such file or directory); build the index again" in done.stderr


def test_repair_does_not_embed_the_whole_machine(index):
    def everything(snapshot):
        snapshot.manifest["images"] = "/"
        snapshot.manifest["files"]["vectors.faiss"]["sha256"] = "0" * 64

    forge(index, everything)
    with pytest.raises(IndexFolderError, match="all of this machine"):
        list(pokesim.repair_index(index))


def test_what_is_no_name_of_a_folder_is_refused_before_any_work(run, samples, tmp_path):
    for name, match in (
        ("", "--index must not be empty"),
        ("x" * 300, "File name too long"),
    ):
        for command in (["build-index", samples.photos], ["query", "x.png"]):
            done = run(*command, "--index", name)
            assert match in done.stderr
            assert done.returncode in (1, 2)
            assert "Unexpected" not in done.stderr
    assert not [path for path in tmp_path.iterdir() if path.name != "cache"]
    for name, match in (("", "The index has no name"), ("a\0b", "without null characters")):
        with pytest.raises(UsageError, match=match):
            pokesim.open_index(name)
    odd = tmp_path / os.fsdecode(b"\xff")
    with pytest.raises(UsageError, match="whose name is not UTF-8"):
        pokesim.build_index(samples.photos, odd, embedder="compact")
    assert not odd.exists()


def test_a_build_does_not_write_what_it_could_not_read(index, samples, monkeypatch):
    """A manifest beyond the bounds would be an index that nothing opens."""
    monkeypatch.setattr("pokesim.index.manifest.MAX_MANIFEST_BYTES", 100)
    with pytest.raises(IndexFolderError, match="cannot be written"):
        pokesim.remove_pictures(["brumbel"], index)
    monkeypatch.undo()
    with pokesim.open_index(index) as opened:
        assert len(opened) == 151


def test_the_manifest_of_a_build_is_read_back_unchanged(index):
    written = (current(index) / "manifest.json").read_bytes()
    manifest = Manifest.from_json(written)
    assert manifest.to_json().encode() == written
    assert json.loads(written)["format"] == 1
    (current(index) / "manifest.json").write_bytes(written + b" ")
    with pytest.raises(CorruptIndexError, match="is not the one that was written"):
        pokesim.open_index(index)
