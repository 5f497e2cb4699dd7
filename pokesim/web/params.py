"""The parameters of a request: what is searched with, the options, and the items it names."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from starlette.requests import Request

from pokesim.images import Crop, as_crop
from pokesim.index.item import Item
from pokesim.search import DEFAULT_K
from pokesim.search.combine import Example, checked_weight, split_weight, worded
from pokesim.search.index import Index
from pokesim.search.matches import AUTO, QueryOptions
from pokesim.web.openapi import EXAMPLES_MAX, K_MAX
from pokesim.web.responses import RequestError

WORDS = ("with_words", "without_words")
"""The parameters with words that a photo or an item is combined with."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What a request asks for, without its photo.

    Attributes:
        index: the index to search, which stays the same for the whole request.
        options: options of the query.
        crop: the part of the photo or item to search with.
        item: the item to search with; None for the photo in the request's body.
        others: items that it is combined with, and their weights, negative to be unlike.
        words: words that it is combined with; a negative weight is to be unlike them.
        same: ids of the pictures with the photo's bytes, if they are to be left out.
    """

    index: Index
    options: QueryOptions
    crop: Crop | None = None
    item: Item | None = None
    others: Sequence[tuple[Item, float]] = ()
    words: Sequence[Example] = ()
    same: Set[int] = frozenset()

    @property
    def own(self) -> Set[int]:
        """Ids to leave out of the matches: of all items that are searched with."""
        items = (self.item, *(one for one, _ in self.others))
        return self.same | {item.id for item in items if item}

    @property
    def examples(self) -> list[Example]:
        """The other items, as the answer has them."""
        index, label = self.index, self.options.label
        return [
            Example(index.label_of(item, label), index.path_of(item), weight)
            for item, weight in self.others
        ]


def search_request_of(index: Index, request: Request, item: str | None) -> SearchRequest:
    """Return what a request asks for.

    Args:
        index: the index.
        request: the request.
        item: id of the item to search with, if any.

    Raises:
        RequestError: a parameter is malformed, or there is no such item.
        UsageError: a crop or a weight is not valid.
    """
    params = request.query_params
    options, crop = query_options_of(request), as_crop(params.get("crop"))
    found = None if item is None else item_of(index, request, item)
    if item is None and "sha256" in params:
        raise RequestError(400, "sha256 is only valid together with the id of a picture.")
    others = [
        _weighted_item(index, given, sign)
        for name, sign in (("with", 1), ("without", -1))
        for given in params.getlist(name)
    ]
    words = worded(*([*map(split_weight, params.getlist(name))] for name in WORDS))
    if len(others) + len(words) > EXAMPLES_MAX:
        raise RequestError(
            400, f"with, without, with_words and without_words are at most {EXAMPLES_MAX} together."
        )
    return SearchRequest(index, options, crop, found, others, words)


def word_request_of(index: Index, request: Request) -> SearchRequest:
    """Return what a request with a word asks for; what is about photos does not apply to it.

    Raises:
        RequestError: a parameter is malformed, or would combine the word with pictures.
    """
    if {"crop", "with", "without", "item", *WORDS} & request.query_params.keys():
        raise RequestError(
            400, "A word is searched with alone: leave out crop, item, with, without."
        )
    options = replace(query_options_of(request), exclude_self=False)
    return SearchRequest(index, options)


def _weighted_item(index: Index, given: str, sign: int) -> tuple[Item, float]:
    """Return an item and its weight, given as ID or WEIGHT:ID; the id may be its hash."""
    text, weight = split_weight(given)
    if re.fullmatch("[0-9a-f]{64}", text):
        item_id = index.items.find(text)
    else:
        item_id = int(text) if re.fullmatch("[0-9]{1,12}", text) else None
    if item_id is None or item_id >= len(index):
        raise _no_such_item()
    return index.items[item_id], sign * checked_weight(f"picture {text}", weight)


def query_options_of(request: Request) -> QueryOptions:
    """Return the query options.

    Raises:
        RequestError: k is not a number from 1 to `K_MAX`, or what is true or false is neither.
    """
    params = request.query_params
    k = params.get("k", str(DEFAULT_K))
    if not re.fullmatch("[0-9]{1,3}", k) or not 1 <= int(k) <= K_MAX:
        raise RequestError(400, f"k must be a number from 1 to {K_MAX}.")
    return QueryOptions(
        int(k),
        params.get("where"),
        params.get("label", AUTO),
        truth_of(request, "group"),
        exclude_self=truth_of(request, "exclude_self"),
    )


def truth_of(request: Request, name: str) -> bool:
    """Return a parameter that is true or false, which it is if it is left out.

    Raises:
        RequestError: it is neither.
    """
    given = request.query_params.get(name, "false")
    if given not in ("true", "false"):
        raise RequestError(400, f"{name} must be true or false.")
    return given == "true"


def pictures_of(index: Index, request: Request) -> list[Item | None]:
    """Return the items that a request names, each once; None for one that is not in the index.

    Raises:
        RequestError: it names none, too many, or none that is in the index.
    """
    given = list(dict.fromkeys(request.query_params.getlist("picture")))
    if not 1 <= len(given) <= K_MAX:
        raise RequestError(400, f"Name from 1 to {K_MAX} pictures: picture=ID.")
    if not all(re.fullmatch("[0-9]{1,12}(:[0-9a-f]{64})?", one) for one in given):
        raise RequestError(400, "picture must be ID or ID:SHA256.")
    items = [_found_item(index, *one.split(":")) for one in given]
    if not any(items):
        raise _no_such_item()
    return items


def item_of(index: Index, request: Request, given: str, name: str = "sha256") -> Item:
    """Return the item with an id, or with the hash if the request has one and the id has changed.

    Args:
        index: the index.
        request: may have the hash of the picture as a parameter.
        given: the id as text. Builds change ids.
        name: name of the parameter with the hash.

    Raises:
        RequestError: there is no such item, or the hash is malformed.
    """
    digest = request.query_params.get(name)
    if digest is not None and not re.fullmatch("[0-9a-f]{64}", digest):
        raise RequestError(400, f"{name} must be 64 hexadecimal digits in lower case.")
    item = _found_item(index, given, digest) if re.fullmatch("[0-9]{1,12}", given) else None
    if item is None:
        raise _no_such_item()
    return item


def _found_item(index: Index, given: str, digest: str | None = None) -> Item | None:
    """Return the item with an id, or with the hash if it has one and the id has changed."""
    item = index.items[int(given)] if int(given) < len(index) else None
    if item and digest in (None, item.sha256):
        return item
    moved = index.items.find(digest) if digest else None
    return None if moved is None else index.items[moved]


def _no_such_item() -> RequestError:
    return RequestError(404, "There is no such picture in the index.")
