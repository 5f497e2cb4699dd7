"""What the server keeps to itself: tokens, host names, other sites, paths, headers, uploads."""

import io
import os
import shutil
import socket

from PIL import Image
from support.rejected import REJECTED
from support.serving import START, serving

import pokesim
from pokesim.web.responses import JsonResponse


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
    with serving(home / "index") as server:
        for vectors in (home / "index" / "snapshots").glob("*/vectors.faiss"):
            os.truncate(vectors, 4096)
        replies += [server.get("/api/items/3/similar"), server.post("/api/search", photos[1])]
        assert [reply.status for reply in replies[-2:]] == [500, 500]
    assert [reply.status for reply in replies[3:7]] == [404] * 4
    for reply in replies:
        assert b"secret" not in reply.body
        assert b"root:" not in reply.body
        assert "secret" not in str(reply.headers)


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
        inline = "default-src 'none'; style-src 'unsafe-inline'; sandbox"  # of a viewer of pictures
        assert "unsafe" not in policy or (path, policy) == ("/images/1", inline)
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
    no_bytes = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
    with serving(described, start=no_bytes + START) as server:
        assert server.post("/api/search", large.getvalue()).status == 200
        assert server.post("/api/card", large.getvalue()).status == 200
        assert server.ask("POST", "/api/search", large.getvalue()).status == 200


def test_pages_of_other_sites_cannot_post(server, photos):
    for origin in ("http://evil.example", "http://localhost:1", "null"):
        reply = server.post("/api/search", photos[0], Origin=origin)
        assert reply.status == 403, origin
        assert reply.json["error"] == "Pages of other sites may not use this server."
    own = f"http://127.0.0.1:{server.port}"
    assert server.post("/api/search", photos[0], Origin=own).status == 200
    assert server.get("/api/info", Origin="http://evil.example").status == 200


def test_two_servers_of_one_host_have_a_cookie_each(described):
    with serving(described, "--token", "one") as first, serving(described, "--token", "two") as two:
        both = [
            server.get(f"/?token={token}").headers["Set-Cookie"].partition(";")[0]
            for server, token in ((first, "one"), (two, "two"))
        ]
        assert len({cookie.partition("=")[0] for cookie in both}) == 2
        for server in (first, two):
            assert server.get("/", Cookie="; ".join(both)).status == 200


def test_a_token_may_be_any_text(described, tmp_path):
    for token in ("sesame ü\u2603".encode(), b"not \xff UTF-8"):
        env = {**os.environb, b"POKESIM_TOKEN": token}
        with serving(described, env=env) as server:
            header = b"Bearer " + token
            assert server.get("/api/info", Authorization=header).status == 200
            assert server.get("/api/info", Authorization=header + b"x").status == 401
            for odd in (b"Bearer \xff\xfe", b"Bearer", b"\xe9"):
                assert server.get("/api/info", Authorization=odd).status == 401
            assert server.get("/api/info", Cookie=b"pokesim-token-1=\xff").status == 401


def test_json_has_no_nan():
    response = JsonResponse({"a": [float("nan"), 1.5, (float("-inf"),)], "b": {"c": float("inf")}})
    assert response.body == b'{"a":[null,1.5,[null]],"b":{"c":null}}'
