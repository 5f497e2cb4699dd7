"""The server: its answers, the requests it rejects, limits, security and shutdown."""

import contextlib
import csv
import io
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from support.paths import README, ROOT
from support.pictures import png_of_zeros
from support.serving import START, form, serving

import pokesim
from pokesim.samples import CREATURES

WEB_README = ROOT / "pokesim" / "web" / "README.md"

SHORT_TIMEOUTS = (
    "import pokesim.web.server as s, pokesim.web.uploads as u;"
    "s.IDLE_SECONDS = 0.5; u.BODY_SECONDS = 0.5;" + START
)


@pytest.fixture(scope="module")
def described(samples, tmp_path_factory):
    """An index of sample creatures with a table, and one picture from another folder."""
    home = tmp_path_factory.mktemp("described")
    shutil.copytree(samples.images, home / "creatures" / "drawn")
    with (home / "types.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["Name", "Type1", "HP"])
        for at, name in enumerate(CREATURES):
            table.writerow([name, ("grass", "fire", "")[at % 3], 10 + at])
    index = home / "index"
    pokesim.build_index(home / "creatures", index, embedder="compact", metadata=home / "types.csv")
    with Image.open(samples.images / f"{CREATURES[0]}.webp") as picture:
        picture.convert("RGB").rotate(5).save(home / "elsewhere.tiff")
    pokesim.add_pictures([home / "elsewhere.tiff"], index)
    return index


@pytest.fixture(scope="module")
def server(described):
    with serving(described) as running:
        yield running


@pytest.fixture(scope="module")
def photos(samples):
    return sorted(samples.photos.iterdir())


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
    only = ("id", "sha256", "image", "thumbnail")
    return [{name: match[name] for name in match if name not in only} for match in matches]


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", []),
        ("?k=1", ["-k", "1"]),
        ("?k=3&where=Type1%3Dgrass+and+HP+%3E+20", ["-k", "3", "--where", "Type1=grass and HP>20"]),
        ("?k=2&label=Type1&group=true", ["-k", "2", "--label-by", "Type1", "--group"]),
        ("?label=folder&group=true", ["--label-by", "folder", "--group"]),
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


def test_images_thumbnails_and_their_caching(described, server):
    with pokesim.open_index(described) as index:
        item = index.items[5]
        tiff = next(item for item in index.items if item.label == "elsewhere")
    full, small = (f"/{kind}/{tiff.id}?sha256={tiff.sha256}" for kind in ("images", "thumbnails"))
    reply = server.get("/images/5")
    assert reply.body == (described.parent / "creatures" / item.path).read_bytes()
    assert reply.headers["Content-Type"] == "image/webp"
    drawn, shrunk = server.get(full), server.get(small)
    assert drawn.headers["Content-Type"] == "image/png"
    with (
        Image.open(io.BytesIO(drawn.body)) as png,
        Image.open(described.parent / "elsewhere.tiff") as original,
    ):
        assert (png.format, png.size) == ("PNG", original.size)
    with Image.open(io.BytesIO(shrunk.body)) as picture:
        assert picture.format == "WEBP"
        assert max(picture.size) <= 320
    for address, reply in ((full, drawn), (small, shrunk)):
        assert "max-age" in reply.headers["Cache-Control"]
        again = server.get(address, If_None_Match=reply.headers["ETag"])
        assert (again.status, again.body) == (304, b"")
        assert server.get(address, If_None_Match='"other"').status == 200


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
    assert info["labels"] == ["stem", "folder", "Name", "Type1", "HP"]
    assert info["columns"][1] == {"name": "Type1", "numbers": False, "values": ["fire", "grass"]}
    assert len(info["columns"][2]["values"]) == 50
    assert info["explains"] is True
    assert server.get("/healthz").json == {"status": "ok"}
    assert b"<html" in server.get("/").body


REJECTED = [
    ("POST", "/api/search", b"", 400, "There is no photo in the request."),
    (
        "POST",
        "/api/search",
        b"words",
        400,
        "photo: not a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or JPEG 2000 image.",
    ),
    ("POST", "/api/search?k=0", b"x", 400, "k must be a number from 1 to 100."),
    ("POST", "/api/search?k=ten", b"x", 400, "k must be a number from 1 to 100."),
    ("POST", "/api/search?group=yes", b"x", 400, "group must be true or false."),
    ("GET", "/api/items/1/similar?where=Tpye1%3Dfire", None, 400, "Did you mean Type1?"),
    ("GET", "/api/items/1/similar?label=tpye1", None, 400, "Did you mean Type1?"),
    ("GET", "/api/items/1/similar?sha256=1", None, 400, "sha256 must be 64 hexadecimal digits"),
    ("GET", f"/api/items/1/similar?sha256={64 * '0'}", None, 404, "no such picture"),
    ("GET", "/api/items/152/similar", None, 404, "There is no such picture in the index."),
    ("GET", "/images/-1", None, 404, "There is no such picture in the index."),
    ("GET", "/images/..%2f..%2findex%2fCURRENT", None, 404, "There is nothing"),
    ("GET", "/static/..%2fapp.py", None, 404, "There is nothing at this address."),
    ("GET", "/static/../app.py", None, 404, "There is nothing at this address."),
    ("GET", "/static//etc/passwd", None, 404, "There is nothing at this address."),
    ("GET", "/static/%00", None, 404, "There is nothing at this address."),
    ("GET", "/nothing", None, 404, "There is nothing at this address."),
    ("DELETE", "/images/1", None, 405, "does not support the request's method."),
    ("POST", "/api/card?where=HP%3E1000", None, 400, "There is no photo in the request."),
    ("POST", "/api/card?item=1&where=HP%3E1000", None, 404, "There are no matches"),
]


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
        if "-o" in command.split():
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
    assert len(document["paths"]) == 8
    for path in document["paths"]:
        assert f"{path.split('{')[0]}" in log
    for good in ("search", "card", "explain"):
        assert f"POST /api/{good} 200 " in log


def test_no_response_reveals_a_path_of_the_server(described, tmp_path, photos):
    home = shutil.copytree(described.parent, tmp_path / "secret")
    pokesim.build_index(home / "creatures", home / "index")
    with pokesim.open_index(home / "index") as index:
        gone, changed = index.items[0], index.items[1]
    (home / "creatures" / gone.path).unlink()
    (home / "creatures" / changed.path).unlink()
    (home / "creatures" / changed.path).symlink_to("/etc/passwd")
    with serving(home / "index") as server:
        replies = [server.get(path) for path in ("/", "/api/info", "/openapi.json")]
        replies += [
            server.get(f"/{kind}/{at}") for kind in ("images", "thumbnails") for at in (0, 1)
        ]
        replies += [server.ask(method, path, body) for method, path, body, *_ in REJECTED]
        replies += [server.post("/api/search?k=100", photos[0])]
        replies += [server.ask("POST", "/api/card?item=0")]
    for items in (home / "index" / "snapshots").glob("*/items.sqlite"):
        whole = items.read_bytes()
        items.write_bytes(whole[:4096] + bytes(len(whole) - 4096))
    with serving(home / "index") as server:
        replies += [server.get("/api/items/3/similar"), server.post("/api/search", photos[1])]
        assert [reply.status for reply in replies[-2:]] == [500, 500]
    assert [reply.status for reply in replies[3:7]] == [404] * 4
    for reply in replies:
        assert b"secret" not in reply.body
        assert b"root:" not in reply.body
        assert "secret" not in str(reply.headers)


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


def test_requests_beyond_the_limit_get_503_and_retry_after(server, photos):
    with Image.open(photos[0]) as picture:
        large = io.BytesIO()
        picture.resize((1500, 1500)).save(large, "PNG", compress_level=1)
    with ThreadPoolExecutor(120) as pool:
        replies = list(pool.map(lambda _: server.post("/api/search", large.getvalue()), range(120)))
    statuses = {reply.status for reply in replies}
    assert statuses == {200, 503}
    refused = next(reply for reply in replies if reply.status == 503)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert "try again in" in refused.json["error"]
    assert server.post("/api/search", photos[0]).status == 200


def test_shutdown_waits_for_requests_in_progress(described, photos):
    body, kind = form("me.jpg", photos[0].read_bytes())
    with serving(described) as server, contextlib.closing(server.connect()) as connection:
        connection.putrequest("POST", "/api/search")
        connection.putheader("Content-Type", kind)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:1000])
        time.sleep(0.3)
        server.process.terminate()
        time.sleep(0.5)
        with pytest.raises(ConnectionError):
            server.get("/healthz")
        connection.send(body[1000:])
        assert connection.getresponse().status == 200
        assert server.process.wait(60) == 0
    assert server.lines[-1] == "Stopped.\n"


def test_a_new_build_is_served_and_earlier_ids_stay_valid_with_their_hash(
    described, tmp_path, samples, photos
):
    home = shutil.copytree(described.parent, tmp_path / "home")
    pokesim.build_index(home / "creatures", home / "index")
    with serving(home / "index") as server, ThreadPoolExecutor(4) as pool:
        count = server.get("/api/info").json["count"]
        before = server.get("/api/items/20/similar?k=3").json["matches"]
        shown = [server.get(match["image"]).body for match in before]
        labels = {photo: server.post("/api/search?k=1", photo).json for photo in photos[:4]}
        published = threading.Event()

        def ask(photo):
            answers = []
            while not published.is_set():
                answers.append(server.post("/api/search?k=1", photo).json["matches"][0])
            return answers

        asking = {photo: pool.submit(ask, photo) for photo in photos[:4]}
        for name in ("aa", "ab", "ac"):  # first in order, so all ids change
            with Image.open(samples.images / f"{CREATURES[9]}.webp") as picture:
                picture.rotate(ord(name[1])).save(home / "creatures" / f"{name}.png")
        pokesim.build_index(home / "creatures", home / "index")
        deadline = time.monotonic() + 20
        while server.get("/api/info").json["count"] != count + 3:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        published.set()
        for photo, answers in asking.items():
            best = labels[photo]["matches"][0]
            assert {(one["label"], one["distance"]) for one in answers.result()} == {
                (best["label"], best["distance"])
            }
            assert {one["id"] for one in answers.result()} <= {best["id"], best["id"] + 3}
        assert [server.get(match["image"]).body for match in before] == shown
        assert [server.get(f"/images/{match['id']}").body for match in before] != shown
        first = before[0]
        again = server.get(f"/api/items/{first['id']}/similar?k=1&sha256={first['sha256']}")
        assert again.json["query"] == first["label"]
        shutil.rmtree(home / "index")
        time.sleep(2.5)
        assert server.post("/api/search", photos[0]).status == 200
    warnings = [line for line in server.lines if "Serving the previous index." in line]
    assert len(warnings) == 1


def test_a_token_is_required_and_never_logged(described, photos):
    with serving(described, "--token", "sesame ü") as server:
        assert server.get("/healthz").status == 200
        for path in ("/", "/api/info", "/images/1", "/static/x", "/?token=wrong"):
            assert server.get(path).status == 401
        assert server.post("/api/search", photos[0]).status == 401
        assert server.get("/api/info", Authorization="Bearer sesame").status == 401
        entered = server.get("/?token=sesame%20%C3%BC")
        assert (entered.status, entered.headers["Location"]) == (303, "/")
        entered = server.get("/?item=3&token=sesame+%C3%BC&k=7")
        assert (entered.status, entered.headers["Location"]) == (303, "/?item=3&k=7")
        cookie = entered.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert "sesame" not in cookie
        cookie = cookie.partition(";")[0]
        assert server.get("/", Cookie=cookie).status == 200
        assert server.get("/images/1", Cookie=cookie).status == 200
        assert server.post("/api/search", photos[0], Cookie=cookie).status == 200
    assert "sesame" not in "".join(server.lines)
    with serving(described, env=os.environ | {"POKESIM_TOKEN": "abc"}) as server:
        assert server.get("/api/info").status == 401
        assert server.get("/api/info", Authorization="Bearer abc").status == 200


def test_other_host_names_and_cross_site_requests_are_rejected(server, described):
    port = server.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", "LOCALHOST", f"[::1]:{port}"):
        assert server.get("/healthz", Host=host).status == 200
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "8.8.8.8", ""):
        reply = server.get("/api/info", Host=host)
        assert (reply.status, b"Host" in reply.body) == (400, True)
    foreign = server.ask("POST", "/api/search", b"x", {"Sec-Fetch-Site": "cross-site"})
    assert foreign.status == 403
    assert "this machine only" in server.lines[0]
    with serving(described, "--host", "0.0.0.0") as open_to_all:
        assert "open to anyone on your network" in open_to_all.lines[0]
        for host in ("192.168.7.9:1", "localhost", socket.gethostname()):
            assert open_to_all.get("/healthz", Host=host).status == 200
        assert open_to_all.get("/healthz", Host="evil.example").status == 400


def test_every_response_has_the_security_headers(server):
    for path in ("/", "/api/info", "/images/1", "/nothing"):
        headers = server.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Access-Control-Allow-Origin" not in headers
        assert "Server" not in headers


def test_uploads_never_touch_the_disk(described, photos):
    """A process that cannot write a byte to a file still serves large photos."""
    with Image.open(photos[0]) as picture:
        large = io.BytesIO()
        picture.resize((2500, 2500)).save(large, "PNG", compress_level=0)
    assert len(large.getvalue()) > 15_000_000
    no_bytes = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # noqa: E731
    with serving(described, preexec_fn=no_bytes) as server:
        assert server.post("/api/search", large.getvalue()).status == 200
        assert server.post("/api/card", large.getvalue()).status == 200
        assert server.ask("POST", "/api/search", large.getvalue()).status == 200


def test_slow_clients_are_disconnected(described):
    head = b"POST /api/search HTTP/1.1\r\nHost: localhost\r\n"
    with serving(described, start=SHORT_TIMEOUTS) as server, contextlib.ExitStack() as stack:

        def begun(data):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            connection.sendall(data)
            return stack.enter_context(connection)

        idle, slow_head = begun(b""), begun(head)
        slow_body = begun(head + b"Content-Length: 100\r\n\r\nx")
        with slow_body.makefile("rb") as answer:
            response = answer.read()
        assert response.startswith(b"HTTP/1.1 408")
        assert b"did not arrive within" in response
        for connection in (idle, slow_head):
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""
        assert server.get("/healthz").status == 200


def test_a_picture_that_takes_too_long_is_abandoned(described, photos):
    hasty = "import pokesim.web.batching as b; b.READ_SECONDS = 0.2; " + START
    with serving(described, start=hasty) as server:
        for _ in range(3):
            slow = server.ask("POST", "/api/search", png_of_zeros(9_400, 9_400))
            assert slow.status == 400, slow.body
            assert "reading it took over 0.2 s" in slow.json["error"]
        time.sleep(2)
        assert server.post("/api/search", photos[0]).status == 200


def test_the_log_has_a_line_for_each_request_unless_quiet(described, photos):
    with serving(described) as server:
        server.post("/api/search?k=3", photos[0])
        server.get("/nothing%0A%1b")
    search, nothing = server.lines[1:3]
    assert search.startswith("127.0.0.1 POST /api/search 200 ")
    assert search.endswith(" ms\n")
    assert nothing.startswith("127.0.0.1 GET /nothing%0A%1b 404 ")
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    command = [sys.executable, "-m", "pokesim", "serve", "--quiet", "--port", str(port)]
    with subprocess.Popen(
        [*command, "--index", described], stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as quiet:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                    connection.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
                    assert b"200 OK" in connection.recv(1000)
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        quiet.terminate()
        assert quiet.communicate(timeout=30) == (b"", b"")


def test_open_shows_the_page_at_the_address_of_the_server(described, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/address\n')
    browser.chmod(0o755)
    env = os.environ | {"BROWSER": os.fspath(browser)}
    with serving(described, "--open", "--token", "a&b", "--host", "::1", env=env) as server:
        assert server.url == f"http://[::1]:{server.port}"
    assert (tmp_path / "address").read_text() == f"{server.url}/?token=a%26b"


def test_errors_at_startup_are_one_sentence(run, described, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("serve", "--index", described, "--port", port)
    assert done.returncode == 1
    assert f"Port {port} is already in use; try --port 0." in done.stderr
    nowhere = run("serve", "--index", described, "--host", "nowhere.invalid")
    assert nowhere.returncode == 1
    assert "Cannot listen on nowhere.invalid, port 8000" in nowhere.stderr
    assert run("serve", "--index", tmp_path).returncode == 1
    assert run("serve", "--index", described, "--token", "").returncode == 2
    code = "import sys; sys.modules['uvicorn'] = None; " + START
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", "--index", described],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "pokesim: Serving needs uvicorn; install it with `pip install 'pokesim[web]'`.\n"
    )
