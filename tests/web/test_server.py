"""The server: its answers, and the requests that it rejects."""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from support.heic import heic
from support.paths import README, ROOT
from support.pictures import png_of_zeros
from support.rejected import REJECTED
from support.serving import form, serving

import pokesim

WEB_README = ROOT / "pokesim" / "web" / "README.md"


def queried(run, index, photo, *options):
    """The command line's answer, with paths as the server shows them."""
    done = run("query", photo, "--index", index, "--format", "json", *options)
    assert done.returncode == 0, done.stderr
    matches = json.loads(done.stdout)[0]["matches"]
    for match in matches:
        path, root = Path(match["path"]), index.parent / "creatures"
        match["path"] = str(path.relative_to(root)) if path.is_relative_to(root) else path.name
    return matches


def bare(matches):
    """Matches without the fields that only the server adds."""
    only = ("id", "sha256", "bytes", "image", "thumbnail")
    return [{name: match[name] for name in match if name not in only} for match in matches]


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", []),
        ("?k=1", ["-k", "1"]),
        ("?k=3&where=Type1%3Dgrass+and+HP+%3E+20", ["-k", "3", "--where", "Type1=grass and HP>20"]),
        ("?k=2&label=Type1&group=true", ["-k", "2", "--label-by", "Type1", "--group"]),
        ("?label=folder&group=true", ["--label-by", "folder", "--group"]),
        ("?crop=10%25,20%25,50%25,60%25", ["--crop", "10%,20%,50%,60%"]),
    ],
)
def test_a_photo_gets_the_same_answer_as_on_the_command_line(
    run, server, described, photos, query, options
):
    expected = queried(run, described, photos[0], *options)
    by_form = server.post(f"/api/search{query}", photos[0])
    raw = server.ask("POST", f"/api/search{query}", photos[0].read_bytes())
    assert (by_form.status, raw.status) == (200, 200), by_form.body
    assert (by_form.json["query"], raw.json["query"]) == (photos[0].name, "photo")
    assert bare(by_form.json["matches"]) == bare(raw.json["matches"]) == expected


def test_similar_pictures_of_an_item_need_no_model(described, server, monkeypatch):
    with pokesim.open_index(described) as index:
        item = index.items[7]
        path = described.parent / "creatures" / item.path
        expected = index.query(path, k=4, exclude_self=True)
    answer = server.get(f"/api/items/7/similar?k=4&sha256={item.sha256}").json
    assert answer["query"] == item.label
    assert [match["id"] for match in answer["matches"]] == [match.id for match in expected]
    assert 7 not in [match["id"] for match in answer["matches"]]


def test_a_part_of_an_item_is_searched_with(described, server):
    with pokesim.open_index(described) as index:
        path = described.parent / "creatures" / index.items[7].path
        expected = index.query(path, crop=(20, 20, 100, 90), exclude_self=True)
    answer = server.get("/api/items/7/similar?crop=20,20,100,90").json
    assert answer["crop"] == "20,20,100,90"
    assert [match["id"] for match in answer["matches"]] == [match.id for match in expected]
    whole = server.post("/api/search", path).json
    part = server.post("/api/search?crop=0%25,0%25,50%25,50%25", path).json
    assert whole["matches"][0]["distance"] == 0 < part["matches"][0]["distance"]
    for kind in ("card", f"explain?k=100&match={expected[0].id}"):
        cards = [
            server.ask("POST", f"/api/{kind}{'&' if '?' in kind else '?'}item=7&{more}")
            for more in ("", "crop=20,20,100,90")
        ]
        assert [one.status for one in cards] == [200, 200], cards[1].body
        assert cards[0].body != cards[1].body


def test_a_photo_or_an_item_is_combined_with_items(described, server, photos):
    with pokesim.open_index(described) as index:
        items = [index.items[item_id] for item_id in (3, 9, 20)]
        like, unlike, itself = (index.path_of(item) for item in items)
        options = {"positive": [(like, 0.5)], "negative": [unlike], "exclude_self": True}
        of_photo = index.query(photos[0], **options)
        of_item = index.query(itself, **options)
    more = f"with=0.5:3&without={items[1].sha256}"
    answer = server.post(f"/api/search?{more}", photos[0]).json
    assert [match["id"] for match in answer["matches"]] == [match.id for match in of_photo]
    assert [(one["query"], one["weight"], one["id"]) for one in answer["with"]] == [
        (items[0].label, 0.5, 3)
    ]
    assert answer["without"][0]["sha256"] == items[1].sha256
    answer = server.get(f"/api/items/20/similar?{more}").json
    assert [match["id"] for match in answer["matches"]] == [match.id for match in of_item]
    part = server.get(f"/api/items/20/similar?{more}&crop=0%25,0%25,50%25,50%25").json
    assert part["matches"] != answer["matches"]
    card = server.post(f"/api/card?{more}", photos[0])
    assert (card.status, card.headers["Content-Type"]) == (200, "image/png")
    for path in ("/api/items/20/similar?with=20", "/api/items/20/similar?with=3&without=3"):
        reply = server.get(path)
        assert reply.status == 400
        assert reply.json["error"].endswith(": given twice; give it once, with a weight.")


def test_images_thumbnails_and_their_caching(described, server):
    with pokesim.open_index(described) as index:
        item = index.items[5]
        tiff = next(item for item in index.items if item.label == "elsewhere")
    full, small = (f"/{kind}/{tiff.id}?sha256={tiff.sha256}" for kind in ("images", "thumbnails"))
    reply = server.get("/images/5")
    assert reply.body == (described.parent / "creatures" / item.path).read_bytes()
    assert reply.headers["Content-Type"] == "image/webp"
    drawn, shrunk = server.get(full), server.get(small)
    assert drawn.headers["Content-Type"] == "image/webp"
    with (
        Image.open(io.BytesIO(drawn.body)) as webp,
        Image.open(described.parent / "elsewhere.tiff") as original,
    ):
        assert (webp.format, webp.size) == ("WEBP", original.size)
    with Image.open(io.BytesIO(shrunk.body)) as picture:
        assert picture.format == "WEBP"
        assert max(picture.size) <= 320
    for address, reply in ((full, drawn), (small, shrunk)):
        assert "max-age" in reply.headers["Cache-Control"]
        again = server.get(address, If_None_Match=reply.headers["ETag"])
        assert (again.status, again.body) == (304, b"")
        assert server.get(address, If_None_Match='"other"').status == 200


def test_a_phones_photo_is_found_and_sent_back_in_a_format_that_browsers_show(server, photos):
    with Image.open(photos[1]) as photo:
        data, size = heic(photo.resize((1400, 700)), orientation=8), (1260, 630)
    found = server.post("/api/search", data)
    assert found.json["matches"][0]["label"] == photos[1].stem
    preview = server.post("/api/preview", data)
    assert preview.headers["Content-Type"] == "image/webp"
    with Image.open(io.BytesIO(preview.body)) as picture:
        assert (picture.format, picture.size) == ("WEBP", size)
    assert server.post("/api/card", data).status == 200
    refused = server.post("/api/preview", data[:-40])
    assert (refused.status, "damaged" in refused.json["error"]) == (400, True)


def test_a_card_is_a_picture(server, photos, described):
    by_photo = server.post("/api/card?k=4", photos[0])
    with pokesim.open_index(described) as index:
        item = index.items[3]
    by_item = server.ask("POST", f"/api/card?item=3&sha256={item.sha256}")
    for reply in (by_photo, by_item):
        assert reply.status == 200, reply.body
        assert reply.headers["Content-Disposition"].startswith("attachment; filename")
        with Image.open(io.BytesIO(reply.body)) as card:
            assert (card.format, card.size) == ("PNG", (1200, 630))
    assert by_photo.body != by_item.body


def test_a_match_is_explained_as_a_picture(server, photos):
    best, second = server.post("/api/search?k=2", photos[0]).json["matches"]
    of_best = server.post(f"/api/explain?match={best['id']}", photos[0])
    named = f"k=2&match=0&match_sha256={second['sha256']}"
    of_second = server.post(f"/api/explain?{named}", photos[0])
    of_item = server.ask("POST", f"/api/explain?item={second['id']}&match={best['id']}&k=100")
    for reply in (of_best, of_second, of_item):
        assert reply.status == 200, reply.body
        with Image.open(io.BytesIO(reply.body)) as picture:
            assert (picture.format, picture.size) == ("PNG", (1200, 630))
    assert len({of_best.body, of_second.body, of_item.body}) == 3
    assert server.post(f"/api/explain?k=1&match={second['id']}", photos[0]).status == 404
    assert server.post("/api/explain", photos[0]).status == 404


def test_info_describes_the_index_and_its_options(server):
    info = server.get("/api/info").json
    assert (info["count"], info["embedder"], info["exact"]) == (152, "compact", True)
    assert info["labels"] == ["auto", "folder", "Name", "Type1", "HP"]
    assert info["columns"][1] == {"name": "Type1", "numbers": False, "values": ["fire", "grass"]}
    assert len(info["columns"][2]["values"]) == 50
    assert info["explains"] is True
    assert server.get("/healthz").json == {"status": "ok"}
    assert b"<html" in server.get("/").body


@pytest.mark.parametrize(("method", "path", "body", "status", "message"), REJECTED)
def test_invalid_requests_are_rejected_with_a_message(server, method, path, body, status, message):
    reply = server.ask(method, path, body)
    assert reply.status == status, reply.body
    assert message in reply.json["error"]
    assert reply.json.keys() == {"error"}


def test_the_examples_of_the_readmes_run(server, photos, tmp_path):
    text = README.read_text(encoding="utf-8") + WEB_README.read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if "localhost:8000/" in line]
    assert len(lines) >= 5
    shutil.copy(photos[0], tmp_path / "me.jpg")
    for line in lines:
        command = line.replace("localhost:8000", server.url).replace("curl", "curl -sSf", 1)
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, capture_output=True, check=False
        )
        assert done.returncode == 0, f"{line}: {done.stderr.decode()}"
        if command.endswith(".zip"):
            assert zipfile.is_zipfile(tmp_path / command.split()[-1])
        elif "-o" in command.split():
            with Image.open(tmp_path / command.split()[-1]) as picture:
                assert picture.size == (1200, 630)
        else:
            assert b'"matches":[{' in done.stdout


def test_errors_name_the_bad_photo(server):
    bomb = server.post("/api/search", png_of_zeros(30_000, 30_000))
    assert bomb.status == 400
    assert bomb.json["error"].startswith("photo.jpg: too many pixels")
    large = server.post("/api/search", bytes(33 * 1024 * 1024))
    assert (large.status, large.json["error"]) == (413, "The photo is larger than 32 MiB.")
    for body, told in (
        (b"--edge--\r\n", "one file field photo, not 0"),
        (form("a.png", b"x", field="file")[0], "one file field photo, not 0"),
        (form("a.png", b"x")[0][:-12] * 2, "The form is malformed"),
        (b"rubbish", "The form is malformed"),
    ):
        reply = server.ask("POST", "/api/search", body, {"Content-Type": form("", b"")[1]})
        assert reply.status == 400
        assert told in reply.json["error"]
    body, kind = form("5%22 screen.png", b"x")
    quoted = server.ask("POST", "/api/search", body, {"Content-Type": kind})
    assert quoted.json["error"].startswith('5" screen.png: not a JPEG')
    named = server.post("/api/search", form("C:\\\\private\\\\me.png", b"x")[0])
    assert "private" not in named.json["error"]


def test_the_server_conforms_to_its_openapi_description(described, samples, tmp_path):
    """Schemathesis sends valid and invalid photos, filters and ids."""
    tool = os.fspath(Path(sys.executable).with_name("schemathesis"))
    command = [tool, "run", "--header", "Authorization: Bearer abc", "--seed", "1"]
    command += ["--phases", "coverage,fuzzing", "--max-examples", "10", "--request-timeout", "30"]
    # A filter has more rules than a schema can express.
    command += ["--exclude-checks", "positive_data_acceptance", "--warnings", "off", "--no-color"]
    hooks = {
        "SCHEMATHESIS_HOOKS": "support.schemathesis_hooks",
        "PHOTOS": os.fspath(samples.photos),
    }
    env = os.environ | hooks | {"PYTHONPATH": os.fspath(ROOT / "tests")}
    with serving(described, "--token", "abc") as server:
        document = server.get("/openapi.json", Authorization="Bearer abc").json
        done = subprocess.run(
            [*command, f"{server.url}/openapi.json"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-8000:]
        log = "".join(server.lines)
    assert len(document["paths"]) == 11
    for path in document["paths"]:
        assert f"{path.split('{')[0]}" in log
    for good in ("search", "card", "explain"):
        assert f"POST /api/{good} 200 " in log


def test_concurrent_requests_get_their_own_answers(server, described, photos, run):
    with pokesim.open_index(described) as index:
        expected = {photo.name: [m.id for m in index.query(photo, k=7)] for photo in photos}

    def ask(number):
        photo = photos[number % len(photos)]
        k = 1 + number % 7
        reply = server.post(f"/api/search?k={k}", photo)
        assert reply.status == 200, reply.body
        return [m["id"] for m in reply.json["matches"]] == expected[photo.name][:k]

    with ThreadPoolExecutor(30) as pool:
        assert all(pool.map(ask, range(200)))
