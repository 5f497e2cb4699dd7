"""The parameters of a request: query options, and the picture of the index it names."""

from __future__ import annotations

import re

from starlette.requests import Request

from pokesim.images import Crop, as_crop
from pokesim.index.item import Item
from pokesim.search import DEFAULT_K
from pokesim.search.index import Index
from pokesim.search.matches import STEM, QueryOptions
from pokesim.web.openapi import K_MAX
from pokesim.web.responses import RequestError


def query_options_of(request: Request) -> QueryOptions:
    """Return the query options.

    Raises:
        RequestError: k is not a number from 1 to `K_MAX`, or group is neither true nor false.
    """
    params = request.query_params
    k, group = params.get("k", str(DEFAULT_K)), params.get("group", "false")
    if not re.fullmatch("[0-9]{1,3}", k) or not 1 <= int(k) <= K_MAX:
        raise RequestError(400, f"k must be a number from 1 to {K_MAX}.")
    if group not in ("true", "false"):
        raise RequestError(400, "group must be true or false.")
    return QueryOptions(int(k), params.get("where"), params.get("label", STEM), group == "true")


def crop_of(request: Request) -> Crop | None:
    """Return the part of the photo to search with. Raises UsageError if it is none."""
    return as_crop(request.query_params.get("crop"))


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
    if re.fullmatch("[0-9]{1,12}", given):
        item = index.items[int(given)] if int(given) < len(index) else None
        if item and digest in (None, item.sha256):
            return item
        moved = index.items.find(digest) if digest else None
        if moved is not None:
            return index.items[moved]
    raise RequestError(404, "There is no such picture in the index.")
