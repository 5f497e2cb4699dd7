"""The tools: search with a photo, words or a picture of the index, duplicates, what the index is.

They only read. A photo may be any picture file of this machine that the user names, but an answer
has only pictures of the index: nothing of another file leaves this process.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent
from pydantic import Field

from pokesim.analysis.duplicates import find_duplicates
from pokesim.arguments import shown
from pokesim.embedders.embedder import spec_for
from pokesim.errors import IndexFolderError, PictureError, PokesimError, UsageError, did_you_mean
from pokesim.gallery import webp_of
from pokesim.images import MAX_BYTES, PictureSource, reduced
from pokesim.index.item import Item, path_in, with_folder
from pokesim.mcp.results import About, Groups, Matches
from pokesim.search import DEFAULT_K
from pokesim.search.index import Index
from pokesim.search.matches import Answer, Match, QueryOptions, WordKeywords
from pokesim.search.matches import Matches as MatchList
from pokesim.show.answers import as_dict
from pokesim.show.records import group_records, metadata_records
from pokesim.show.reports import search_text, words_text

THUMBNAIL = 256
"""Maximum length of a thumbnail's longer side, in pixels."""

THUMBNAILS = 5
"""The number of matches that a thumbnail is sent of: each costs an assistant attention."""

K_MAX = 100

_NAMED = 3
"""How many paths are named if several pictures have the same label."""

log = logging.getLogger(__name__)

K = Annotated[int, Field(ge=1, le=K_MAX, description="Number of matches.")]

Where = Annotated[
    str | None,
    Field(
        description="Only pictures whose metadata match, such as 'Type1=grass and HP > 50'; the "
        "tool info lists the columns. It knows =, !=, <, <=, >, >=, in, not in, and, or, not and "
        "brackets."
    ),
]

Crop = Annotated[
    str | None,
    Field(
        description="Search with a part of the upright photo: x,y,width,height in percent, such "
        "as 10%,20%,50%,60%, or in pixels."
    ),
]

Words = Annotated[
    str | None,
    Field(
        description="What the pictures show, in place of a photo or together with it, such as 'at "
        "night'; the tool info says which words the index takes."
    ),
]

WithoutWords = Annotated[str | None, Field(description="What the pictures should not show.")]

Thumbnails = Annotated[
    bool, Field(description=f"Send small pictures of the best {THUMBNAILS} matches as well.")
]


class Tools:
    """The tools for one index; each call answers from its newest snapshot."""

    def __init__(self, name: str, index: Index) -> None:
        """Take the folder or address of an index, and the opened index."""
        self._name, self._opened = name, index
        self._lock = threading.Lock()

    def query(
        self,
        photo: Annotated[
            str | None,
            Field(description="Path of a picture file on this machine, absolute or after ~."),
        ] = None,
        data: Annotated[
            str | None, Field(description="Instead of a path: the picture file itself, in base64.")
        ] = None,
        words: Words = None,
        without_words: WithoutWords = None,
        k: K = DEFAULT_K,
        where: Where = None,
        crop: Crop = None,
        thumbnails: Thumbnails = True,
    ) -> Annotated[CallToolResult, Matches]:
        """Find the pictures of the index most like a photo, words, or both; nearest first."""
        said: WordKeywords = {"where": where, "negative_words": without_words}
        if photo is None and data is None and words is not None:
            if crop:
                raise UsageError("crop is about a photo; give one.")
            answer = self._index().answer_words(words, k, **said)
            return _answered(as_dict(answer), answer.matches if thumbnails else ())
        if (photo is None) == (data is None):
            raise UsageError("Give either the path of a photo, or its data in base64, or words.")
        source: PictureSource = _decoded(data or "") if photo is None else _file(photo)
        (answer,) = self._index().answer([source], k, **said, crop=crop, words=words)
        if answer.error:
            raise answer.error
        return _answered(as_dict(answer), answer.matches if thumbnails else ())

    def similar(
        self,
        picture: Annotated[
            str,
            Field(description="Path of a picture of the index, or its label if no other has it."),
        ],
        k: K = DEFAULT_K,
        where: Where = None,
        thumbnails: Thumbnails = True,
    ) -> Annotated[CallToolResult, Matches]:
        """Find the pictures of the index that look most like another picture of the index."""
        index = self._index()
        item = _named(index, picture)
        options, vector = QueryOptions(k, where), index.vectors([item.id])
        (found,) = index.matches(vector, options, [{item.id}])
        path = index.path_of(item)
        matches = MatchList(found)
        answer = Answer(index.label_of(item), path, matches, index.count(where))
        return _answered(as_dict(answer), matches if thumbnails else ())

    def duplicates(
        self,
        similar: Annotated[
            bool, Field(description="Group similar pictures too, not only copies.")
        ] = False,
        where: Where = None,
        limit: Annotated[int, Field(ge=1, le=1000, description="Maximum number of groups.")] = 20,
    ) -> Annotated[CallToolResult, Groups]:
        """Find groups of pictures that are the same picture: copied, resized, turned or cropped.

        This reads all picture files, so with many thousands it takes a while. Nothing is changed.
        """
        groups = find_duplicates(self._name, similar=similar, where=where)
        return _answered({"found": len(groups), "groups": group_records(groups[:limit]).data})

    def info(self) -> Annotated[CallToolResult, About]:
        """Describe the index: how many pictures of what folder, and the columns for filters."""
        index = self._index()
        manifest, metadata = index.manifest, index.metadata
        return _answered(
            {
                "index": self._name,
                "pictures": len(index),
                "images": manifest.images,
                "embedder": manifest.embedder.name,
                "embedder_is_for": spec_for(manifest.embedder).about,
                "words": words_text(manifest.embedder),
                "search": search_text(manifest.search),
                "created": manifest.created,
                "skipped": len(manifest.skipped),
                "columns": metadata_records(metadata).data["columns"] if metadata else [],
            }
        )

    def _index(self) -> Index:
        """Return the newest snapshot, or the previous one if it cannot be opened."""
        with self._lock:
            try:
                self._opened = self._opened.refresh()
            except IndexFolderError as error:
                log.warning("%s Answering from the previous index.", error)
            return self._opened


def _file(name: str) -> Path:
    """Return the file of a photo: no URL, pipe or device, which could be made to wait forever."""
    path = _expanded(name)
    try:
        if path.is_file():
            return path
    except (OSError, ValueError):  # a name that no file can have
        pass
    raise UsageError(f"There is no picture file {shown(name)}; give its path on this machine.")


def _expanded(name: str) -> Path:
    """Return a path with a leading ~ replaced by the user's home folder."""
    try:
        return Path(name).expanduser()
    except RuntimeError:  # there is no such user
        return Path(name)


def _decoded(data: str) -> bytes:
    """Return the bytes of a picture in base64, also in that of a data: URL."""
    if len(data) > MAX_BYTES // 3 * 4 + 100:
        raise UsageError(f"The picture's data are larger than {MAX_BYTES >> 20} MiB.")
    try:
        found = base64.b64decode(re.sub(r"^data:[^,]*,|\s", "", data), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError("The picture's data are not base64.") from error
    if not found:
        raise UsageError("The picture's data are empty.")
    return found


def _named(index: Index, name: str) -> Item:
    """Return the picture with a path, or with a label, alone or after its folder's name.

    Raises:
        PokesimError: there is none, or several have this label.
    """
    root = Path(index.manifest.images)
    for path in (name, "" if "\0" in name else path_in(root, _expanded(name))):
        item_id = index.items.id_of_path(path)
        if item_id is not None:
            return index.items[item_id]
    found, labels = [], set()
    for item in index.items:
        labels.add(item.label)
        if name in (item.label, with_folder(item, root)):
            found.append(item)
    if len(found) == 1:
        return found[0]
    if found:
        paths = ", ".join(item.path for item in found[:_NAMED])
        raise PokesimError(
            f"{len(found):,} pictures are called {shown(name)}; give a path, such as {paths}."
        )
    hint = did_you_mean(name, labels)
    raise PokesimError(f"The index has no picture with the path or label {shown(name)}.{hint}")


def _answered(data: Any, matches: Iterable[Match] = ()) -> CallToolResult:
    """Return data, as text too, and thumbnails of the first matches."""
    text = json.dumps(data, ensure_ascii=False)
    # A file name may have bytes that are no text, which the protocol cannot carry.
    text = text.encode("utf-8", "replace").decode()
    content: list[ContentBlock] = [TextContent(type="text", text=text)]
    for match in [*matches][:THUMBNAILS]:
        try:
            data = base64.b64encode(webp_of(reduced(match.path, THUMBNAIL))).decode()
        except PictureError:  # it is gone, or has changed, since it was indexed
            continue
        content.append(TextContent(type="text", text=f"{match.rank}. {match.label}"))
        content.append(ImageContent(type="image", data=data, mime_type="image/webp"))
    return CallToolResult(content=content, structured_content=json.loads(text))
