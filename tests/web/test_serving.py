"""A server over time: its start, its log, and the builds that it comes to serve."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from PIL import Image
from support.serving import START, serving

import pokesim
from pokesim.samples import CREATURES


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
    assert run("serve", "--index", described, "--port", "70000").returncode == 2
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
