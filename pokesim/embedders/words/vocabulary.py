"""The words that can be searched with, and the ImageNet classes that each stands for.

Case, hyphens and plurals do not matter: "Golden-Retrievers" is "golden retriever".
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pokesim.embedders.catalog import CATALOG
from pokesim.errors import MAX_SUGGESTED, UsageError

if TYPE_CHECKING:
    from pokesim.embedders.embedder import ModelKey

_FILE = Path(__file__).with_name("vocabulary.txt")

_CLASSES = "Classes"
"""The section of the file with the classes; each other section is a group of broad words."""

OTHERS = "Other things"
"""The group of the classes that are in no other."""

KNOWING = tuple(name for name, spec in CATALOG.items() if spec.lite or spec.pair)
"""The embedders that know the words of the vocabulary."""

READING = tuple(name for name, spec in CATALOG.items() if spec.hub and spec.hub.has_text)
"""The embedders that need no vocabulary: they read any words."""

_IRREGULAR = {"geese": "goose", "mice": "mouse", "oxen": "ox", "loaves": "loaf", "feet": "foot"}

_ALIKE = 0.7
"""Words are written alike from this ratio of `difflib` on."""

_ENDINGS = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""))
"""Endings of a plural, and those of its singular; also of a word that has only a plural."""


@dataclass(frozen=True, slots=True)
class Group:
    """A part of the vocabulary, as it is listed.

    Attributes:
        title: its name.
        broad: broad words, such as "dog".
        classes: the first name of each class that they stand for, such as "golden retriever".
    """

    title: str
    broad: Sequence[str]
    classes: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """The file.

    Attributes:
        classes: the names of each class, by its number.
        groups: title of a group → its broad words → their classes.
        known: folded name → classes, ascending.
    """

    classes: Sequence[Sequence[str]]
    groups: dict[str, dict[str, Sequence[int]]]
    known: dict[str, Sequence[int]]


def reads_words(key: ModelKey) -> bool:
    """Return whether an embedder reads any words."""
    return key.network is not None and key.network.text is not None


def takes_words(key: ModelKey) -> bool:
    """Return whether an embedder knows some words, or reads any."""
    return reads_words(key) or key.name in KNOWING


def classes_of(word: str) -> Sequence[int]:
    """Return the numbers of the classes that a word stands for, ascending.

    Raises:
        UsageError: the word is not known; the message suggests the closest one.
    """
    known = _vocabulary().known
    for form in _forms(_folded(word)):
        if form in known:
            return known[form]
    nearest = _nearest(_folded(word))
    hint = f" Did you mean {', '.join(nearest)}?" if nearest else ""
    raise UsageError(
        f'The word "{" ".join(word.split())}" is not known.{hint} '
        "`pokesim query --words` lists those that are; an index by "
        f"{' or '.join(READING)} takes any words."
    )


def _nearest(word: str) -> list[str]:
    """Return at most three known words that are parts of a folded word, or written alike."""
    if len(word) > MAX_SUGGESTED:
        return []
    parts = word.split(" ") if " " in word else []
    known = {_folded(name): name for name in words()}
    inside = [form for part in parts for form in _forms(part) if form in known]
    alike = difflib.get_close_matches(word, known, 3, _ALIKE)
    return [known[form] for form in dict.fromkeys([*inside, *alike])][:3]


def words() -> list[str]:
    """Return all words, the broad ones first."""
    vocabulary = _vocabulary()
    broad = [name for group in vocabulary.groups.values() for name in group]
    names = [name for one in vocabulary.classes for name in one]
    return list(dict.fromkeys([*broad, *names]))


def groups() -> list[Group]:
    """Return the vocabulary by groups, each with its words in alphabetical order.

    Of a class only the first name is listed, once: in the first group that has it.
    """
    vocabulary = _vocabulary()
    left = dict.fromkeys(range(len(vocabulary.classes)))
    found = []
    for title, broad in vocabulary.groups.items():
        members = {number for numbers in broad.values() for number in numbers} & left.keys()
        left = {number: None for number in left if number not in members}
        found.append(Group(title, _sorted(broad), _first_names(vocabulary, members)))
    return [*found, Group(OTHERS, [], _first_names(vocabulary, left))]


def _first_names(vocabulary: _Vocabulary, numbers: set[int] | dict[int, None]) -> list[str]:
    return _sorted({vocabulary.classes[number][0] for number in numbers})


def _sorted(names: set[str] | dict[str, Sequence[int]]) -> list[str]:
    return sorted(names, key=str.casefold)


def _folded(word: str) -> str:
    return " ".join(word.casefold().replace("-", " ").split())


def _forms(word: str) -> Iterator[str]:
    """Yield a folded word, then what may be its singular or its plural."""
    yield word
    *before, last = word.split(" ")
    if last in _IRREGULAR:
        yield " ".join([*before, _IRREGULAR[last]])
    for plural, singular in _ENDINGS:
        if last.endswith(plural):
            yield word.removesuffix(plural) + singular
    yield f"{word}s"


@cache
def _vocabulary() -> _Vocabulary:
    section = ""
    names_of: list[Sequence[str]] = []
    groups: dict[str, dict[str, Sequence[int]]] = {}
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line.strip("[]")
            continue
        left, right = line.split(": ")
        if section == _CLASSES:
            names_of.append(right.split(", "))
        else:
            numbers = _numbers(right)
            groups.setdefault(section, {}).update(dict.fromkeys(left.split(", "), numbers))
    known: dict[str, list[int]] = {}
    for number, names in enumerate(names_of):
        for name in {_folded(name) for name in names}:
            known.setdefault(name, []).append(number)
    broad = {_folded(name): of for group in groups.values() for name, of in group.items()}
    return _Vocabulary(names_of, groups, {**known, **broad})


def _numbers(text: str) -> Sequence[int]:
    """Return the numbers in a text such as "158 179-195", ascending."""
    found: list[int] = []
    for part in text.split():
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found
