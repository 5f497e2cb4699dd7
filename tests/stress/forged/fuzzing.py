"""Change manifests at random: each is read and is what it says, or is refused with ValueError."""

import copy
import json
import random
import time
from pathlib import Path
from typing import Any

from stress.forged.manifests import ANY, CONTAINERS, MISSING, put
from stress.forged.sealing import current

from pokesim.index.folder.contents import check_contents
from pokesim.index.manifest import Manifest

_TOKENS = (b"{", b"}", b"[", b"]", b",", b":", b'"', b"-", b"e9", b"\\u", b"\\ud800", b"\xff")
_TOKENS += (b"null", b"true", b"NaN", b"1e999", b"9" * 5000, b"\0", b"[" * 2000, b"0.", b"\n")

_PLACE = tuple[str | int, ...]


def fuzz_manifests(index: Path, seconds: float, seed: int) -> int:
    """Change the manifest of an index at random, and read it; return how often.

    A manifest that is read is written and read again, and is the same.
    """
    right = (current(index) / "manifest.json").read_bytes()
    chance = random.Random(seed)
    until = time.monotonic() + seconds
    tried = 0
    while time.monotonic() < until:
        text = (_changed_text if chance.random() < 0.5 else _changed_fields)(right, chance)
        tried += 1
        manifest, reason = None, ""
        try:
            manifest = Manifest.from_json(text)
            check_contents(manifest)
        except ValueError as error:
            reason = str(error)
        assert len(reason) < 500, text
        assert "\n" not in reason, text
        if manifest:
            assert Manifest.from_json(manifest.to_json().encode()) == manifest, text
    return tried


def _changed_text(text: bytes, chance: random.Random) -> bytes:
    changed = bytearray(text)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(5):
            case 0:
                changed[at : at + chance.randrange(1, 4)] = bytes([chance.randrange(256)])
            case 1:
                changed[at:at] = chance.choice(_TOKENS)
            case 2:
                del changed[at : at + chance.randrange(1, 60)]
            case 3:
                end = min(len(changed), at + chance.randrange(200))
                changed[at:at] = changed[at:end]
            case 4:
                changed[at : at + 1] = chance.choice(_TOKENS)
    return bytes(changed)


def _changed_fields(text: bytes, chance: random.Random) -> bytes:
    data = json.loads(text)
    for _ in range(chance.randrange(1, 4)):
        places = list(_places(data))
        place = chance.choice(places)
        value = _value_at(data, chance.choice(places))  # that of another field, or a wrong one
        if chance.random() < 0.7:
            value = chance.choice((*ANY, *CONTAINERS, chance.randrange(-(2**65), 2**65)))
            value = value if value is MISSING else copy.deepcopy(value)
        put(data, place, value)
        if not data:
            break
    return json.dumps(data).encode()


def _places(data: Any, place: _PLACE = ()) -> list[_PLACE]:
    """List the paths of all fields and values in a JSON value."""
    if not isinstance(data, dict | list):
        return [place]
    items = data.items() if isinstance(data, dict) else enumerate(data)
    inner = [one for key, value in items for one in _places(value, (*place, key))]
    return [place, *inner] if place else inner


def _value_at(data: Any, place: _PLACE) -> Any:
    for key in place:
        data = data[key]
    return json.loads(json.dumps(data))
