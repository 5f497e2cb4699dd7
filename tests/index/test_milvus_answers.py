"""An index at an address, on a Milvus server in memory, which may answer anything.

tests/distributed/test_milvus.py tests a real server.
"""

import base64
import contextlib
import io
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.filters import NUMBERS
from support.indexes import index_of
from support.memory_milvus import MemoryMilvus

import pokesim
from pokesim.errors import CorruptIndexError
from pokesim.index import open_store
from pokesim.index.milvus import store as milvus_store
from pokesim.index.milvus.address import Address
from pokesim.index.milvus.client import Client

AT = "milvus://127.0.0.1:1/here"


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("POKESIM_CACHE", str(tmp_path / "cache"))
    return connected(monkeypatch)


def connected(monkeypatch):
    memory = MemoryMilvus()
    monkeypatch.setattr(milvus_store, "Client", lambda address: memory)
    return memory


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """An index of numbers, in a folder and pushed."""
    folder = tmp_path_factory.mktemp("numbers")
    lines = "".join(f"{at},{number},{number}\n" for at, number in enumerate(NUMBERS))
    (folder / "t.csv").write_text(f"p,x,text\n{lines}9999,1,other\n")
    xb = np.arange(2 * len(NUMBERS), dtype=np.float32).reshape(-1, 2)
    here = index_of(folder / "index", xb, table=folder / "t.csv")
    with pytest.MonkeyPatch.context() as patch:
        connected(patch)
        pokesim.push_index(folder / "index", AT)
        there = pokesim.open_index(AT)
    return here, there


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_numbers_compare_as_in_a_folder(numbers, data):
    here, there = numbers
    some = st.sampled_from(NUMBERS)
    mark = data.draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "in", "not in"]))
    values = data.draw(st.lists(some, min_size=1, max_size=5 if "in" in mark else 1))
    for column in ("x", "text"):
        where = f"{column} {mark} {','.join(values)}"
        assert there.select(where).tolist() == here.select(where).tolist()


def test_thousands_of_values_work(numbers):
    here, there = numbers
    where = f"x in {','.join(map(str, range(19_000)))} or x in {','.join(['1.5'] * 1000)}"
    assert there.select(where).tolist() == here.select(where).tolist()


def test_metadata_too_long_for_milvus_are_refused_before_anything_is_sent(server, tmp_path):
    def index(name, *cells):
        rows = [{"p": f"{at}", "Short": "s", "Text": text} for at, text in enumerate(cells)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        xb = np.eye(len(cells), 3, dtype=np.float32)
        return index_of(tmp_path / name, xb, table=tmp_path / f"{name}.jsonl")

    used = len('{"c0":0,"c1":"s","c2":""}')
    index("most", "x" * (65_536 - used), "é" * 30_000)
    assert pokesim.push_index(tmp_path / "most", AT)
    for name, text, size in (("a", "x" * (65_537 - used), "65,537"), ("b", "ü" * 40_000, "80,")):
        index(name, "short", text)
        before = dict(server.rows)
        message = (
            rf"65,536 bytes of metadata for a picture, but 1\.png has {size}.* its Text in the"
        )
        with pytest.raises(pokesim.PokesimError, match=message):
            pokesim.push_index(tmp_path / name, AT)
        assert server.rows == before


def test_a_path_too_long_for_milvus_is_refused(server, tmp_path, monkeypatch):
    from pokesim.index.milvus import upload

    index_of(tmp_path / "index", np.eye(12, 2, dtype=np.float32))
    monkeypatch.setattr(upload, "NAME_BYTES", 5)
    with pytest.raises(pokesim.PokesimError, match=r"label, but 10\.png… has 6; rename"):
        pokesim.push_index(tmp_path / "index", AT)
    assert not server.rows


def test_a_push_over_a_damaged_index_repairs_it(server, tmp_path):
    (tmp_path / "t.csv").write_text("p,x\n0,1\n")
    index_of(tmp_path / "index", np.eye(9, 2, dtype=np.float32), table=tmp_path / "t.csv")
    assert pokesim.push_index(tmp_path / "index", AT)
    assert not pokesim.push_index(tmp_path / "index", AT)

    def damage_row(name):
        server.rows[name][3]["size"] = 77

    def damage_vector(name):
        server.rows[name][3]["vector"] = [1.0, 1.5]

    def lose_row(name):
        del server.rows[name][8]

    def lose_files(name):
        del server.rows[f"{name}_files"]

    def damage_table(name):
        (row,) = server.query(f"{name}_files", 'name == "table.json"', ["id"])
        server.rows[f"{name}_files"][row["id"]]["data"] = "Wy"

    for damage in (damage_row, damage_vector, lose_row, lose_files, damage_table):
        damage(server.aliases["here"])
        with pytest.raises(CorruptIndexError, match="push the index again, or build it"):
            list(pokesim.check_index(AT))
        assert pokesim.push_index(tmp_path / "index", AT), damage
        list(open_store(AT).snapshot().verify())
        assert not pokesim.push_index(tmp_path / "index", AT)


def test_the_requested_search_survives_edits_at_an_address(server, samples, tmp_path):
    images, index = tmp_path / "images", tmp_path / "index"
    shutil.copytree(samples.images, images)
    asked = "IVF4,Flat nprobe=4"
    pokesim.build_index(images, index, embedder="compact", search=asked)
    pokesim.push_index(index, AT)

    def requested():
        pokesim.pull_index(AT, tmp_path / "pulled")
        pulled = pokesim.open_index(tmp_path / "pulled").manifest.search
        there = pokesim.open_index(AT).manifest.search
        assert there.used == "flat, by Milvus"
        assert there.requested == pulled.requested
        assert (pulled.recall is not None) == (pulled.requested == asked)
        return pulled.requested

    assert requested() == asked
    shutil.copy(images / "brumbel.webp", tmp_path / "another.webp")
    pokesim.add_pictures([tmp_path / "another.webp"], AT)
    assert requested() == asked
    pokesim.remove_pictures(["another"], AT)
    assert requested() == asked
    pokesim.tune_index(samples.photos, AT, dims=8, force=True)
    assert requested() == asked
    shutil.copy(images / "brumbel.webp", images / "more.webp")
    pokesim.build_index(images, AT)
    assert requested() == asked
    (images / "more.webp").unlink()
    pokesim.build_index(images, AT, search="flat")
    assert requested() == "flat"


@pytest.fixture
def pushed(server, tmp_path):
    (tmp_path / "t.csv").write_text("p,x\n0,1\n1,2\n2,a\n")
    index_of(tmp_path / "index", np.eye(9, 2, dtype=np.float32), table=tmp_path / "t.csv")
    pokesim.push_index(tmp_path / "index", AT)
    return server


def use(tmp_path):
    """Do with an index at an address all that reads it."""
    index = pokesim.open_index(AT)
    index.select("x=a or x!=2")
    index.count("x in 1,2")
    index.metadata.values("x", 9)
    index.metadata.alternatives("x", "nothing")
    list(index.metadata.unmatched())
    index.search(np.eye(2), 3)
    index.search(np.eye(2), 9, where='x=""')
    index.vectors([1, 2])
    index.metadata.row(2)
    index.items.find("0" * 64)
    assert index.items.in_folders in (True, False)
    list(open_store(AT).snapshot().verify())
    shutil.rmtree(tmp_path / "pulled", ignore_errors=True)
    pokesim.pull_index(AT, tmp_path / "pulled")


def wrong_rows(**fields):
    """Answer with other values of these fields."""

    def answer(method, result):
        if method == "query":
            return [row | {name: fields[name] for name in fields if name in row} for row in result]
        return result

    return answer


def instead(method, change):
    return lambda name, result: change(result) if name == method else result


@pytest.mark.parametrize(
    "answer",
    [
        *(wrong_rows(**{name: value})
          for name in ("id", "path", "label", "size", "mtime_ns", "sha256", "metadata", "vector")
          for value in (None, "x", -1, 2**62, 1.5, [], {}, {"c1": [1]}, [1.0], [[1, 2], 3], b"x")),
        *(wrong_rows(vector=vector) for vector in ([np.nan, 1], [np.inf, 1], [1, 2, 3], "ab")),
        *(wrong_rows(path=path) for path in ("a\0b", "a\\x00b")),
        *(wrong_rows(data=data) for data in (None, "", "a", "!", "e30=", "W10=", "bnVsbA==", 7)),
        wrong_rows(data=base64.b64encode(b"[" * 100_000).decode()),
        instead("query", lambda rows: []),
        instead("query", lambda rows: rows[1:]),
        instead("query", lambda rows: rows + rows),
        instead("query", lambda rows: [{} for _ in rows]),
        *(instead("count", lambda count, wrong=wrong: wrong) for wrong in (-1, 10, 2**62)),
        instead("search", lambda hits: []),
        instead("search", lambda hits: hits + hits),
        instead("search", lambda hits: [one + one for one in hits]),
        *(instead("search", lambda hits, wrong=wrong: [[hits[0][0] | wrong]] * len(hits))
          for wrong in ({"id": -2}, {"id": 9}, {"id": 2**62}, {"distance": np.nan})),
    ],
)  # fmt: skip
def test_any_answer_is_used_or_refused_in_a_sentence(pushed, tmp_path, answer):
    pushed.answer = answer
    with contextlib.suppress(pokesim.PokesimError):
        use(tmp_path)
    pushed.answer = lambda method, result: result
    use(tmp_path)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", b"[" * 100_000),
        ("facts.json", b"[]"),
        ("facts.json", b'{"rows_sha256": "a"}'),
        ("table.json", b'{"a": 1}'),
        ("table.json", b"[[1]]"),
        ("table.json", b"[[1, [2]]]"),
        ("table.json", b"[[1, true]]"),
        ("projection.npy", b""),
        ("projection.npy", npy(np.ones((2, 2)))),
        ("projection.npy", npy(np.ones((3, 3), np.float32))),
        ("projection.npy", npy(np.full((3, 2), np.nan, np.float32))),
        ("projection.npy", npy(np.ones(6, np.float32))),
        ("projection.npy", npy(np.array([{}], object))),
        ("projection.npy", npy(np.ones((3, 2), np.float32))[:-1]),
        ("projection.npy", npy(np.ones((3, 2), np.float32)).replace(b"(3, 2)", b"(9999999999, 2)")),
        ("projection.npy", npy(np.ones((3, 2), np.float32)).replace(b"(3, 2)", b"((((((")),
    ],
)  # fmt: skip
def test_a_damaged_file_is_reported(pushed, tmp_path, name, content):
    collection = open_store(AT).snapshot().collection
    manifest = json.loads(collection.file("manifest.json"))
    tuning = dict.fromkeys(("labels", "pictures", "held_out"), 1)
    manifest["tuning"] = tuning | {"before": [1.0, 1.0], "after": [1.0, 1.0]}
    files = {"manifest.json": json.dumps(manifest).encode()} if "npy" in name else {}
    rows = pushed.rows[f"{collection.name}_files"]
    for number, (file, data) in enumerate({**files, name: content}.items(), 100):
        for at in [at for at, row in rows.items() if row["name"] == file]:
            del rows[at]
        text = base64.b64encode(data).decode()
        rows[number] = {"id": number, "vector": [0, 0], "name": file, "data": text}
    with pytest.raises(CorruptIndexError, match=r"127\.0\.0\.1:1 has a|has no manifest") as error:
        use(tmp_path)
    assert "push the index again, or build it with --rebuild." in str(error.value)


def test_a_search_that_does_not_fit_the_vectors_is_refused(pushed, tmp_path):
    collection = open_store(AT).snapshot().collection
    manifest = json.loads(collection.file("manifest.json"))
    manifest["search"] |= {"asked": "PQ3x8", "used": "PQ3x8"}
    (at,) = [
        at for at, row in pushed.rows[f"{collection.name}_files"].items()
        if row["name"] == "manifest.json"
    ]  # fmt: skip
    pushed.rows[f"{collection.name}_files"][at]["data"] = base64.b64encode(
        json.dumps(manifest).encode()
    ).decode()
    with pytest.raises(CorruptIndexError, match=r"search (that does not|is not one)"):
        pokesim.pull_index(AT, tmp_path / "pulled")


class Answers:
    """A pymilvus client that answers with one thing, or raises it."""

    def __init__(self, answer):
        self.result = answer

    def _answer(self, *args, **kwargs):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    query = search = describe_collection = list_collections = _answer


@pytest.mark.parametrize(
    "answer", [None, [], {}, 7, [{}], [{"count(*)": "x"}], [None], ValueError("x"), IndexError()]
)
def test_an_answer_that_pymilvus_cannot_read_is_one_sentence(answer):
    client = Client.__new__(Client)
    client._address, client._milvus = Address.of(AT), Answers(answer)
    client._error = pytest.importorskip("pymilvus").MilvusException
    calls = {
        "count": lambda: client.count("a"),
        "describe": lambda: client.describe("a"),
        "query": lambda: client.query("a", "", ["id"]),
        "search": lambda: client.search("a", np.zeros((1, 2), np.float32), 1, ""),
    }
    for call in calls.values():
        with contextlib.suppress(pokesim.PokesimError):  # an empty answer may be right
            call()
    if isinstance(answer, Exception):
        for call in calls.values():
            with pytest.raises(pokesim.PokesimError, match="gave an answer that cannot be read"):
                call()


def test_the_message_of_a_server_is_printable_and_short():
    client = Client.__new__(Client)
    client._address = Address.of(AT)
    client._error = pytest.importorskip("pymilvus").MilvusException
    client._milvus = Answers(client._error(code=1, message="\x1b[31m" + "bad " * 9999 + "\nmore"))
    with pytest.raises(pokesim.PokesimError, match=r"reports: \[31mbad bad") as error:
        client.collections()
    assert len(str(error.value)) < 400
    client._milvus = Answers(client._error(code=1, message=""))
    with pytest.raises(pokesim.PokesimError, match="reports: "):
        client.collections()


# A server that describes a collection at great length, and what opening it says. In a process of
# its own, as no process with gRPC's threads can be forked, and other tests fork.
TALKATIVE = """
from concurrent.futures import ThreadPoolExecutor

import grpc
from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc

import pokesim
from pokesim.index.milvus import client


class Service(milvus_pb2_grpc.MilvusServiceServicer):
    def Connect(self, request, context):
        return milvus_pb2.ConnectResponse()

    def DescribeCollection(self, request, context):
        answer = milvus_pb2.DescribeCollectionResponse()
        answer.schema.description = "x" * (1 << 20)
        return answer


running = grpc.server(ThreadPoolExecutor(2))
port = running.add_insecure_port("127.0.0.1:0")
milvus_pb2_grpc.add_MilvusServiceServicer_to_server(Service(), running)
running.start()
client._ANSWER_BYTES = 1 << 19
try:
    pokesim.open_index(f"milvus://127.0.0.1:{port}/talkative")
except pokesim.PokesimError as error:
    print(error)
running.stop(None).wait()
"""


def test_an_answer_has_a_largest_size():
    pytest.importorskip("pymilvus")
    done = subprocess.run(
        [sys.executable, "-c", TALKATIVE], capture_output=True, text=True, timeout=60, check=True
    )
    assert re.search(r"message to or from .* is too large\.$", done.stdout.strip()), done.stdout
