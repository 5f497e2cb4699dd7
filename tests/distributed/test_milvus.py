"""An index on a real Milvus server gives the same answers as in a folder.

`make test-distributed` runs this in a network namespace, because the server listens on all
interfaces.
"""

import csv
import json
import os
import random
import shutil
import socket
import ssl
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trustme
from milvus_process import TOKEN, Server, behind_tls, wait_until
from pymilvus import MilvusClient
from support.filters import NUMBERS, TYPES, filters
from support.indexes import index_of
from support.serving import serving

import pokesim
from pokesim.errors import IncompatibleIndexError
from pokesim.index import open_store
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.index.folder.writer import SnapshotWriter, new_snapshot
from pokesim.index.item import Item
from pokesim.index.manifest import EmbedderRecord, Manifest
from pokesim.index.metadata.table import read_table
from pokesim.index.milvus import store as milvus_store
from pokesim.index.milvus.client import TOKEN as TOKEN_NAME
from pokesim.index.milvus.collection import Collection

if [name for _, name in socket.if_nameindex()] != ["lo"]:
    pytest.skip("needs a network namespace: make test-distributed", allow_module_level=True)

AT = "milvus://127.0.0.1:19530"


@pytest.fixture(scope="module")
def milvus(tmp_path_factory):
    os.environ[TOKEN_NAME] = TOKEN
    server = Server(tmp_path_factory.mktemp("milvus"))
    yield server
    server.stop()
    del os.environ[TOKEN_NAME]


@pytest.fixture(scope="module")
def client(milvus):
    return MilvusClient("http://127.0.0.1:19530", token=TOKEN)


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """The index of 809 pictures in a folder, its vectors, and the metadata of each picture."""
    index = tmp_path_factory.mktemp("described") / "index"
    random.seed(9)
    rows = [(random.choice(TYPES), random.choice([None, *range(100), 1.5])) for _ in range(809)]
    table = index.with_suffix(".jsonl")
    with table.open("w") as file:
        for at, (kind, hp) in enumerate(rows):
            if at % 5:
                print(json.dumps({"n": f"p{at}", "Type": kind, "HP": hp}), file=file)
        print(json.dumps({"n": "nobody", "Type": "ghost", "HP": 7}), file=file)
    # Every fourth name is not UTF-8, and contains what looks like an escape.
    odd = os.fsdecode(b'\xff\\x41 \n"')
    names = [f"{at // 100}/p{at}{odd if at % 4 == 1 else ''}.png" for at in range(809)]
    items = [
        Item(at, name, Path(name).stem, at, 10**18 + at, f"{at // 2:064x}")
        for at, name in enumerate(names)
    ]
    xb = np.random.default_rng(9).integers(-2, 3, (809, 6)).astype(np.float32)
    write(index, xb, items, read_table(table).keyed([item.path for item in items]))
    cells = [row if at % 5 and at % 4 != 1 else (None, None) for at, row in enumerate(rows)]
    return index, xb, cells


def write(index, xb, items, table=None, embedder="compact"):
    with (
        new_snapshot(IndexFolder(index)) as draft,
        closing(SnapshotWriter(draft.path, xb.shape[1], table)) as writer,
    ):
        writer.add(xb, items)
        metadata = writer.finish()
        record = EmbedderRecord(embedder, "5" * 64, 1, 224, "", False)
        draft.commit(Manifest("/pics", record, xb.shape[1], len(xb), (), metadata=metadata))


@pytest.fixture(scope="module")
def pushed(milvus, described):
    address = f"{AT}/pushed"
    assert pokesim.push_index(described[0], address)
    return address


def facts(manifest):
    return replace(manifest, created="", files={}, search=None)


def test_a_pushed_index_is_pulled_unchanged(described, pushed, tmp_path):
    here = pokesim.open_index(described[0])
    there = pokesim.open_index(pushed)
    assert not pokesim.push_index(described[0], pushed), "pushing the same index again does nothing"
    assert facts(there.manifest) == facts(here.manifest)
    pokesim.pull_index(pushed, tmp_path / "pulled")
    back = pokesim.open_index(tmp_path / "pulled")
    assert facts(back.manifest) == facts(here.manifest)
    assert list(back.items) == list(there.items) == list(here.items)
    for one in (back, there):
        np.testing.assert_array_equal(np.concatenate(list(one.blocks())), described[1])
        assert one.items.in_folders
        assert [one.metadata.row(at) for at in range(0, 809, 50)] == [
            here.metadata.row(at) for at in range(0, 809, 50)
        ]
        for column in ("Type", "HP"):
            assert one.metadata.values(column, 1000) == here.metadata.values(column, 1000)
        assert list(one.metadata.unmatched()) == list(here.metadata.unmatched())
        assert list(one.metadata.undescribed()) == list(here.metadata.undescribed())
        assert one.metadata.table() == here.metadata.table()
        for item in list(here.items)[:20]:
            assert one.items[item.id] == item
            assert one.items.id_of_path(item.path) == item.id
            assert one.items.ids_of_bytes(item.sha256) == here.items.ids_of_bytes(item.sha256)
            assert one.items.find(item.sha256) == here.items.find(item.sha256)
    assert there.items.id_of_path("nowhere.png") is None
    assert there.items.find("0") is None


def same_answers(here, there, xq, k, **options):
    D, I = here.search(xq, k, **options)
    found_d, found_i = there.search(xq, k, **options)
    np.testing.assert_array_equal(found_i, I)
    np.testing.assert_allclose(found_d, D, rtol=1e-6, atol=1e-9)


def test_ties_are_in_the_order_of_ids(described, pushed):
    here, there = pokesim.open_index(described[0]), pokesim.open_index(pushed)
    rng = np.random.default_rng(1)
    near = described[1][rng.integers(0, 809, 100)]
    xq = np.concatenate([near, rng.standard_normal((100, 6)).astype(np.float32)])
    for k in (1, 7, 50, 2000):
        same_answers(here, there, xq, k)


def test_a_filtered_search_equals_brute_force_on_the_filtered_rows(described, pushed):
    from hypothesis import given, settings

    index, xb, rows = described
    here, there = pokesim.open_index(index), pokesim.open_index(pushed)

    @settings(max_examples=60, deadline=None, database=None)
    @given(case=filters())
    def compare(case):
        where, passes = case
        ids = np.array([at for at, row in enumerate(rows) if passes(row)], np.int64)
        np.testing.assert_array_equal(there.select(where), ids)
        same_answers(here, there, xb[:3] + np.float32(0.25), 5, where=where)

    compare()
    for where in (
        "HP in 1.5,2,3",
        "HP not in 1.5,2",
        'HP != "" and HP > 1.4',
        "n >= p5 or n=p2",
        'not (n < p5 or HP = "")',
        'Type in fire,""',
        'Type not in fire,""',
        " or ".join(f"HP={number}" for number in range(200)),
        " and ".join(f"HP!={number}" for number in range(99)),
    ):
        same_answers(here, there, xb[:3] + np.float32(0.25), 5, where=where)
        np.testing.assert_array_equal(there.select(where), here.select(where), where)
    assert len(there.select("Type=ghost")) == 0, "a known value, from a row that matches no picture"
    with pytest.raises(pokesim.UsageError, match="Did you mean grass"):
        there.select("Type=gras")


def test_a_released_collection_is_loaded_again(described, pushed, client):
    there = pokesim.open_index(pushed)
    client.release_collection(open_store(pushed).snapshot().name)
    same_answers(pokesim.open_index(described[0]), there, described[1][:3], 5)


def test_tls(described, pushed, run, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trusting = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(tmp_path / "ca.pem")}
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["h2"])
    authority.issue_cert("localhost").configure_cert(context)
    address = "milvus+https://localhost:19443/pushed"
    with behind_tls(19443, context):
        done = run("pull", address, "pulled", **trusting)
        assert done.returncode == 0, done.stderr
        strange = run("info", "--index", address)
        plain = run("info", "--index", address.replace("+https", ""))
    back = pokesim.open_index(tmp_path / "pulled")
    np.testing.assert_array_equal(np.concatenate(list(back.blocks())), described[1])
    assert (strange.returncode, strange.stderr.count("\n")) == (1, 1)
    assert "named by GRPC_DEFAULT_SSL_ROOTS_FILE_PATH" in strange.stderr
    assert (plain.returncode, plain.stderr.count("\n")) == (1, 1)
    assert "write milvus+https:// if it requires TLS" in plain.stderr


def test_twenty_thousand_vectors_of_2048(milvus, tmp_path, run):
    rng = np.random.default_rng(2)
    xb = rng.standard_normal((20_000, 2048), np.float32)
    xb[10_000:10_100] = xb[0]  # more ties than are requested at first
    here = index_of(tmp_path / "large", xb)
    done = run("push", tmp_path / "large", f"{AT}/large")
    assert done.returncode == 0, done.stderr
    there = pokesim.open_index(f"{AT}/large")
    xq = np.concatenate([xb[:1], rng.standard_normal((199, 2048), np.float32)])
    same_answers(here, there, xq, 10)
    _, ids = there.search(xb[0], 5)
    np.testing.assert_array_equal(ids[0], [0, *range(10_000, 10_004)])
    with pytest.raises(pokesim.UsageError, match="at most 16,384 neighbours, not 16,385"):
        there.search(xq[:1], 16_385)
    with pytest.raises(pokesim.UsageError, match=r"must be \(n, 2048\)"):
        there.search(np.zeros((1, 6)))


def test_every_command_accepts_an_address(milvus, general, samples, run, tmp_path):
    address = f"{AT}/whole"
    for name in ("brumbel", "ribbet", "octavin"):
        (tmp_path / "images").mkdir(exist_ok=True)
        shutil.copy(samples.images / f"{name}.webp", tmp_path / "images")
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["Name", "Type"], ["brumbel", "grass"], ["ribbet", "water"]])

    def ok(*args):
        done = run(*args, "--index", address)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "There is no index at" in run("info", "--index", address).stderr
    built = ok("build-index", "images", "--metadata", "t.csv")
    assert "with general in" in built
    assert f"The index is {address}." in built
    assert ok("build-index").startswith("Nothing to do")
    photo = samples.photos / "brumbel.jpg"
    rows = list(csv.DictReader(ok("query", photo, "-k", "2", "--format", "csv").splitlines()))
    assert rows[0]["label"] == "brumbel"
    assert rows[0]["Type"] == "grass"
    assert ok("query", photo, "--where", "Type=water", "--format", "paths").endswith(
        "ribbet.webp\n"
    )
    same = ok("query", "images/brumbel.webp", "--exclude-self", "--format", "paths")
    assert "brumbel" not in same
    assert "3 from" in ok("info")
    assert "brumbel" in ok("info", "--metadata")
    assert "is sound" in ok("check", "--repair")
    shutil.copy(samples.images / "waddlo.webp", tmp_path)
    assert "1 new" in ok("add", "waddlo.webp")
    with serving(address) as server:
        best = server.post("/api/search?k=1&where=Type=grass", photo).json["matches"]
        assert [match["label"] for match in best] == ["brumbel"]
    assert "100.0" in ok("evaluate", samples.photos)
    assert ok("duplicates") == ""
    ok("map", "map.png", "--method", "pca")
    assert f"{address} has 3." in ok("remove", "ribbet")


def test_a_tuned_index_keeps_its_metric_and_its_base_vectors(milvus, run, samples, tmp_path):
    index, address = tmp_path / "index", f"{AT}/tuned"
    pokesim.build_index(samples.images, index, embedder="compact")
    pokesim.tune_index(samples.photos, index, dims=8, force=True)
    pokesim.push_index(index, address)
    here, there = pokesim.open_index(index), pokesim.open_index(address)
    photo = samples.photos / "brumbel.jpg"
    assert here.query(photo, k=5) == there.query(photo, k=5)
    assert there.manifest.dimension == 8
    list(pokesim.check_index(address))
    done = run("tune", "--reset", "--index", address)
    assert done.returncode == 0, done.stderr
    reset = pokesim.open_index(address)
    assert reset.manifest.tuning is None
    assert reset.manifest.dimension == 256
    found = there.query(photo, k=5)
    assert found == here.query(photo, k=5), "an index that was opened before still answers"


@pytest.fixture(scope="module")
def switched(milvus, tmp_path_factory):
    """Three indexes that differ in vectors and labels, and an address where the first is."""
    home = tmp_path_factory.mktemp("switched")
    indexes = [home / name for name in "abc"]
    for at, one in enumerate(indexes):
        xb = (np.arange(500, dtype=np.float32) + 100 * at)[:, None].repeat(4, axis=1)
        names = [f"{one.name}{n}" for n in range(500)]
        items = [Item(n, f"{name}.png", name, 1, 1, "") for n, name in enumerate(names)]
        write(one, xb, items, embedder="mobilenet_v2")
    pokesim.push_index(indexes[0], f"{AT}/switched")
    return f"{AT}/switched", indexes


def test_a_query_on_another_machine_names_the_missing_model(switched, run, samples):
    done = run("query", samples.photos / "brumbel.jpg", "--index", switched[0])
    assert done.returncode == 1
    assert "mobilenet_v2" in done.stderr
    assert "55555" in done.stderr


def two_nearest(index):
    D, I = index.search(np.full((1, 4), 100, np.float32), 2)
    return [(float(d), index.items[int(at)].label) for d, at in zip(D[0], I[0], strict=True)]


def test_a_switch_during_queries_causes_no_error_and_no_mixed_answer(switched):
    address, indexes = switched
    of_a, of_b = [(0.0, "a100"), (2.0, "a99")], [(0.0, "b0"), (2.0, "b1")]
    opened = pokesim.open_index(address)
    answers, errors, ended = [], [], threading.Event()

    def ask(again):
        index = pokesim.open_index(address)
        while not ended.is_set():
            try:
                index = again(index)
                answers.append(two_nearest(index))
            except Exception as error:
                errors.append(error)

    kinds = (pokesim.Index.refresh, lambda _: pokesim.open_index(address))
    clients = [threading.Thread(target=ask, args=[again]) for again in kinds]
    for one in clients:
        one.start()
    pokesim.push_index(indexes[1], address)
    seen = len(answers)
    while len(answers) < seen + 20 and not errors:
        time.sleep(0.05)
    ended.set()
    for one in clients:
        one.join()
    assert not errors
    assert (answers[0], answers[-1]) == (of_a, of_b)
    assert all(answer in (of_a, of_b) for answer in answers)
    assert two_nearest(opened) == of_a, "the open index still answers"


def test_a_push_fails_if_someone_else_has_pushed_meanwhile(switched, client, monkeypatch):
    address, indexes = switched
    store = open_store(address)
    now = store.snapshot().name
    monkeypatch.setattr(
        milvus_store, "current_collection", lambda client, address: f"{now}_of_before"
    )
    monkeypatch.setattr(Collection, "manifest", None)
    with pytest.raises(pokesim.IndexFolderError, match=r"Someone else has built .* meanwhile"):
        pokesim.push_index(indexes[2], address)
    monkeypatch.undo()
    assert store.snapshot().name == now
    pokesim.push_index(indexes[2], address)
    latest = store.snapshot().name
    kept = {name for name in client.list_collections() if name.startswith("switched_")}
    assert kept == {now, f"{now}_files", latest, f"{latest}_files"}, "only the previous one is kept"


def test_damage_on_the_server_is_reported_and_rebuilt(milvus, client, run, samples, tmp_path):
    address = f"{AT}/damaged"
    shutil.copy(samples.images / "brumbel.webp", tmp_path)
    built = ["build-index", tmp_path, "--index", address, "--embedder", "compact"]
    assert run(*built).returncode == 0
    found = open_store(address).snapshot().collection
    client.upsert(found.name, [{**found.client.query(found.name, "id == 0", ["*"])[0], "size": 7}])
    done = run("check", "--index", address)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "has rows that differ from those written; push the index again, or" in done.stderr
    pulled = run("pull", address, "pulled")
    assert "has rows that differ from those written" in pulled.stderr
    client.drop_collection(f"{found.name}_files")
    assert "lacks its manifest.json" in run("info", "--index", address).stderr
    shutil.rmtree(os.environ["POKESIM_CACHE"] + "/copies/127.0.0.1_19530/damaged")
    again = run(*built)
    assert again.returncode == 0, again.stderr
    assert "what the copy lacks is embedded again" in again.stderr
    assert run("check", "--index", address).returncode == 0


def test_a_push_over_a_damaged_index_repairs_it(milvus, client, tmp_path, caplog):
    address = f"{AT}/repaired"
    index_of(tmp_path / "index", np.eye(9, 4, dtype=np.float32))
    assert pokesim.push_index(tmp_path / "index", address)
    assert not pokesim.push_index(tmp_path / "index", address)
    found = open_store(address).snapshot().collection
    client.upsert(found.name, [{**found.client.query(found.name, "id == 0", ["*"])[0], "size": 7}])
    wait_until(lambda: found.rows("id == 0", ["size"]) == [{"id": 0, "size": 7}])
    with caplog.at_level("INFO", "pokesim"):
        assert pokesim.push_index(tmp_path / "index", address)
    assert "has rows that differ from those written; it is sent again." in caplog.text
    list(open_store(address).snapshot().verify())


def test_numbers_and_many_values_select_what_a_folder_selects(milvus, tmp_path):
    rows = "".join(f"{at},{number},t{number}ß\n" for at, number in enumerate(NUMBERS))
    (tmp_path / "t.csv").write_text(f"p,x,text\n{rows}", encoding="utf-8")
    xb = np.arange(2 * len(NUMBERS), dtype=np.float32).reshape(-1, 2)
    here = index_of(tmp_path / "index", xb, table=tmp_path / "t.csv")
    pokesim.push_index(tmp_path / "index", f"{AT}/numbers")
    there = pokesim.open_index(f"{AT}/numbers")
    for number in random.Random(3).sample(NUMBERS, 16):
        for mark in ("=", "!=", "<", "<=", ">", ">="):
            where = f"x {mark} {number}"
            assert there.select(where).tolist() == here.select(where).tolist(), where
    many = [
        f"x in {','.join(NUMBERS)}",
        f"x not in {','.join(NUMBERS[::2])}",
        f"x in {','.join(map(str, range(20_000)))}",
        f"x in {','.join(f'{number}.5' for number in range(20_000))}",
        f"text not in {','.join(f't{number}ß' for number in NUMBERS[:70] * 280)}",
        " or ".join(f"x={number}" for number in (NUMBERS * 5)[:400]),
        "not (" * 20 + "x=7" + ")" * 20,
    ]
    for where in many:
        assert there.select(where).tolist() == here.select(where).tolist(), where[:90]


def test_the_longest_metadata_that_milvus_takes(milvus, tmp_path):
    used = len('{"c0":0,"c1":""}')
    rows = [{"p": "0", "Text": "x" * (65_536 - used)}, {"p": "1", "Text": "é" * 32_700}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    index_of(tmp_path / "index", np.eye(2, dtype=np.float32), table=tmp_path / "t.jsonl")
    assert pokesim.push_index(tmp_path / "index", f"{AT}/long")
    assert pokesim.open_index(f"{AT}/long").metadata.row(1)["Text"] == rows[1]["Text"]
    rows[1]["Text"] += "é" * 61
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    index_of(tmp_path / "more", np.eye(2, dtype=np.float32), table=tmp_path / "t.jsonl")
    with pytest.raises(pokesim.PokesimError, match=r"1\.png has 65,538; shorten"):
        pokesim.push_index(tmp_path / "more", f"{AT}/long")
    assert pokesim.open_index(f"{AT}/long").metadata.row(1)["Text"] == "é" * 32_700


def test_the_requested_search_survives_edits_at_an_address(milvus, samples, run, tmp_path):
    address, index, asked = f"{AT}/approximate", tmp_path / "index", "IVF4,Flat nprobe=4"
    pokesim.build_index(samples.images, index, embedder="compact", search=asked)
    pokesim.push_index(index, address)
    shutil.copy(samples.images / "brumbel.webp", tmp_path / "another.webp")
    for command in (("add", "another.webp"), ("remove", "another"), ("tune", samples.photos)):
        done = run(*command, "--index", address, *(["--force"] if command[0] == "tune" else []))
        assert done.returncode == 0, done.stderr
        pokesim.pull_index(address, tmp_path / "pulled")
        search = pokesim.open_index(tmp_path / "pulled").manifest.search
        assert (search.requested, search.used) == (asked, asked)
        assert search.recall is not None


def test_errors_are_one_line(client, pushed, run, samples, tmp_path):
    client.create_collection("theirs", dimension=4)

    def error_of(index, **env):
        done = run("query", "x.png", "--index", index, **env)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        return done.stderr

    assert "no index at" in error_of(f"{AT}/nothing")
    assert "pokesim did not make" in error_of(f"{AT}/theirs")
    assert "does not answer" in error_of("milvus://127.0.0.1:1/x")
    assert "does not answer" in error_of("milvus://nowhere.invalid/x")
    assert "put its token" in error_of(pushed, POKESIM_MILVUS_TOKEN="root:wrong")
    assert "put its token" in error_of(pushed, POKESIM_MILVUS_TOKEN="")
    write(tmp_path / "i", np.ones((1, 4), np.float32), [Item(0, "a", "a", 1, 1, "")])
    with pytest.raises(IncompatibleIndexError, match="pokesim did not make"):
        pokesim.push_index(tmp_path / "i", f"{AT}/theirs")
    shutil.copy(samples.images / "brumbel.webp", tmp_path)
    wrong = run(
        "build-index",
        tmp_path,
        "--index",
        f"{AT}/new",
        "--search",
        "HNSW32",
        "--embedder",
        "compact",
    )
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 2)
    assert "Milvus searches exactly" in wrong.stderr


def test_nothing_is_lost_when_the_server_is_killed(milvus, described, pushed, caplog):
    """The last test: the server takes half a minute to start again."""
    opened = pokesim.open_index(pushed)
    milvus.kill()
    milvus.start()
    here = pokesim.open_index(described[0])
    with caplog.at_level("INFO", "pokesim"):
        there = pokesim.open_index(pushed)
    assert "Waiting for the Milvus server 127.0.0.1:19530 to load pushed_" in caplog.text
    for one in (there, opened):
        same_answers(here, one, described[1][:200] + np.float32(0.1), 5)
    assert list(there.items) == list(here.items)
    list(open_store(pushed).snapshot().verify())
