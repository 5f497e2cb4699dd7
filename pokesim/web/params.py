"""What a request's address asks: a question, and the picture of the index that it means."""

from __future__ import annotations

import re

from starlette.requests import Request

from pokesim.index.item import Item
from pokesim.search.index import Index
from pokesim.search.matches import STEM, QueryOptions
from pokesim.web.openapi import K_MAX
from pokesim.web.responses import RequestError


def query_options_of(request: Request) -> QueryOptions:
    """Return what is asked.

    Raises:
        Refused: k is no number from 1 to `K_MAX`, or group neither true nor false.
    """
    asked = request.query_params
    k, group = asked.get("k", "5"), asked.get("group", "false")
    if not re.fullmatch("[0-9]{1,3}", k) or not 1 <= int(k) <= K_MAX:
        raise RequestError(400, f"k must be a number from 1 to {K_MAX}.")
    if group not in ("true", "false"):
        raise RequestError(400, "group must be true or false.")
    return QueryOptions(int(k), asked.get("where"), asked.get("label", STEM), group == "true")


def item_of(index: Index, request: Request, given: str, name: str = "sha256") -> Item:
    """Return the item with an id; where the hash of its picture is given too, the one that has it.

    Args:
        index: what it is of.
        request: may hold the hash.
        given: the id, as it stands in the address. Builds change ids.
        name: of the parameter that holds the hash.

    Raises:
        Refused: there is none.
    """
    digest = request.query_params.get(name)
    if digest is not None and not re.fullmatch("[0-9a-f]{64}", digest):
        raise RequestError(400, f"{name} must be 64 digits from 0 to f.")
    if re.fullmatch("[0-9]{1,12}", given):
        item = index.items[int(given)] if int(given) < len(index) else None
        if item and digest in (None, item.sha256):
            return item
        moved = index.items.find(digest) if digest else None
        if moved is not None:
            return index.items[moved]
    raise RequestError(404, "There is no such picture in the index.")
