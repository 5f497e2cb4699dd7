"""Emoji and their names in Unicode's CLDR, which the package ``emoji`` carries."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

HANDS = ("fluent", "google", "twitter")

_CODE = re.compile("[0-9a-f]{4,5}(-[0-9a-f]{4,5})*")

_UNSEEN = 10
"""Of so many signs, one has names that are never trained with."""


@dataclass(frozen=True)
class Sign:
    """An emoji.

    Attributes:
        code: its code points in hexadecimal, such as "1f34e".
        name: its short name, such as "red apple".
        others: further names, such as "apple".
        pictures: hand → the picture that it drew.
    """

    code: str
    name: str
    others: Sequence[str]
    pictures: Mapping[str, str]


def signs(pictures: Iterable[str]) -> list[Sign]:
    """Return the emoji that all hands drew and CLDR names, by code.

    Args:
        pictures: names of pictures, ``…/HAND/CODE.webp``.
    """
    from emoji import EMOJI_DATA

    # Some files leave out the mark that asks for a picture in place of a letter.
    known = {_plain(sign): entry for sign, entry in EMOJI_DATA.items()}
    drawn: dict[str, dict[str, str]] = {}
    for name in pictures:
        path = PurePosixPath(name)
        if _CODE.fullmatch(path.stem):
            drawn.setdefault(path.stem, {})[path.parent.name] = name
    found = []
    for code, by_hand in sorted(drawn.items()):
        entry = known.get(_plain("".join(chr(int(one, 16)) for one in code.split("-"))))
        if entry and set(by_hand) == set(HANDS):
            names = [_name(one) for one in (entry["en"], *entry.get("alias", ()))]
            found.append(Sign(code, names[0], names[1:], by_hand))
    return found


def split(found: Sequence[Sign]) -> tuple[list[Sign], list[Sign]]:
    """Return the signs to train with, and those whose names are never seen."""
    unseen = found[_UNSEEN // 2 :: _UNSEEN]
    return [sign for sign in found if sign not in unseen], list(unseen)


def _plain(sign: str) -> str:
    return sign.replace("\ufe0f", "")


def _name(short: str) -> str:
    return " ".join(re.split("[:_ ]+", short.strip(":").lower()))
