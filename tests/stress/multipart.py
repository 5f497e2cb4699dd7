"""Forms changed at random: each is parsed, or rejected with a status of 4xx."""

import random
import time
from collections import Counter
from collections.abc import Callable

from support.serving import form

from pokesim.web.responses import RequestError
from pokesim.web.uploads import photo_of

_PIECES = [
    b"--edge",
    b"--edge--",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"--",
    b"\0",
    b'"',
    b"\\",
    b";",
    b"=",
    b":",
    b"Content-Disposition: form-data",
    b'; name="photo"',
    b'; filename="a.png"',
    b"; filename*=UTF-8''%e2%82%ac",
    b"; filename*0=a; filename*1=b",
    b"Content-Transfer-Encoding: base64",
    b"Content-Type: multipart/mixed; boundary=x",
    b"\xff\xfe",
    "ü☃".encode(),
    b"%22",
    b"../",
]

_KINDS = [
    "multipart/form-data",
    "multipart/form-data; boundary=",
    'multipart/form-data; boundary="edge"',
    "multipart/form-data; boundary=edge; boundary=other",
    "multipart/form-data; boundary=\xff",
    "multipart/form-data; boundary=" + "e" * 100,
    "MULTIPART/FORM-DATA; BOUNDARY=edge",
    "multipart/form-data;;;=;boundary==edge",
    "image/png",
    "",
]


def fuzz_multipart(seconds: float, say: Callable[[str], object], seed: int = 1) -> None:
    """Parse changed forms for some time; any exception but RequestError is a finding."""
    chance = random.Random(seed)
    seen: Counter[str] = Counter()
    slowest = 0.0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        body, kind = _changed(chance)
        start = time.process_time()
        try:
            photo_of(body, kind)
            seen["parsed"] += 1
        except RequestError as error:
            seen[f"rejected with {error.status}"] += 1
        except Exception as error:
            raise AssertionError(f"{error!r} of {body!r} as {kind!r}") from error
        slowest = max(slowest, time.process_time() - start)
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(seen.items()))
    say(
        f"fuzz_multipart: {seen.total():,} forms: {counts}; the slowest took {1e3 * slowest:.0f} ms"
    )
    assert slowest < 2
    assert not [outcome for outcome in seen if " 5" in outcome]


def _changed(chance: random.Random) -> tuple[bytes, str]:
    parts = [form(chance.choice(["a.png", "ü", "", 'b"c']), chance.randbytes(chance.randrange(80)))]
    parts.append(form("b", b"x", field="other"))
    body, kind = parts[chance.randrange(2)]
    if chance.random() < 0.2:
        body = parts[1][0].removesuffix(b"--\r\n") + b"\r\n" + body
    for _ in range(chance.randrange(8)):
        at, to = sorted(chance.randrange(len(body) + 1) for _ in range(2))
        piece = chance.choice(_PIECES)
        match chance.randrange(5):
            case 0:
                body = body[:at] + piece + body[at:]
            case 1:
                body = body[:at] + body[min(to, at + 20) :]
            case 2:
                body = body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]
            case 3:
                body = body[:at] + body[at:to] * chance.randrange(2, 4) + body[to:]
            case 4:
                body = body[:at] + piece * chance.randrange(1, 200) + body[at:]
        body = body[:20_000]
    return body, kind if chance.random() < 0.8 else chance.choice(_KINDS)
