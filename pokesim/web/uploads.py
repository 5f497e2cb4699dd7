"""A request's body → a picture's bytes, in memory only, with limits on size and time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import PurePath

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from pokesim.web.responses import RequestError, busy

MAX_BYTES = 32 * 1024 * 1024
"""Cap on a photo; the rest of a form may add `_FORM_BYTES`."""

BODY_SECONDS = 60.0
"""How long a body may take to arrive."""

FIELD = "photo"
"""Name of the form's field with the photo."""

_FORM_BYTES = 64 * 1024

_ALL_BYTES = 8 * MAX_BYTES

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # the response says what is wrong


@dataclass(frozen=True, slots=True)
class Upload:
    """A photo from a request.

    Attributes:
        name: its file name, or "photo".
        data: its bytes.
    """

    name: str
    data: bytes


class Uploads:
    """Receives bodies, with a limit on the memory of all of them together."""

    def __init__(self) -> None:
        self._bytes = 0

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[bytes]:
        """Receive a body; it counts against the memory limit until the block ends.

        Raises:
            RequestError: it is too large, too slow or incomplete, or too many arrive at once.
        """
        length = request.headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 15 or int(length) > MAX_BYTES + _FORM_BYTES):
            raise _too_large()
        chunks: list[bytes] = []
        try:
            await self._receive(request, chunks)
            yield b"".join(chunks)
        finally:
            self._bytes -= sum(map(len, chunks))

    async def _receive(self, request: Request, chunks: list[bytes]) -> None:
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    chunks.append(chunk)
                    size += len(chunk)
                    self._bytes += len(chunk)
                    if size > MAX_BYTES + _FORM_BYTES:
                        raise _too_large()
                    if self._bytes > _ALL_BYTES:
                        raise busy(1)
        except TimeoutError:
            message = f"The photo did not arrive within {BODY_SECONDS:g} s."
            raise RequestError(408, message, {"Connection": "close"}) from None
        except ClientDisconnect:
            raise RequestError(400, "The photo is incomplete.") from None


def photo_of(body: bytes, content_type: str) -> Upload:
    """Extract the photo from a body: a form with the file field ``photo``, or the photo itself.

    Raises:
        RequestError: there is no photo, more than one, or the form is malformed.
    """
    kind, options = parse_options_header(content_type)
    if kind == b"multipart/form-data":
        upload = _of_form(body, options.get(b"boundary", b""))
    else:
        upload = Upload("photo", body)
    if not upload.data:
        raise RequestError(400, "There is no photo in the request.")
    if len(upload.data) > MAX_BYTES:
        raise _too_large()
    return upload


class _Form:
    """Collects the files of the field ``photo`` and ignores everything else."""

    def __init__(self) -> None:
        self.photos: list[tuple[str, list[bytes]]] = []
        self.is_complete = False
        self._name = self._value = b""
        self._chunks: list[bytes] | None = None

    def parse(self, body: bytes, boundary: bytes) -> None:
        """Parse a body. Raises FormParserError if it is malformed."""
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._take_name,
                "on_header_value": self._take_value,
                "on_header_end": self._end_header,
                "on_part_data": self._take_data,
                "on_end": self._end,
            },
        )
        parser.write(body)

    def _begin(self) -> None:
        self._chunks = None

    def _take_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            _, options = parse_options_header(self._value.decode("latin-1"))
            if options.get(b"name") == FIELD.encode():
                self._chunks = []
                self.photos.append((_file_name(options.get(b"filename", b"")), self._chunks))
        self._name = self._value = b""

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._chunks is not None:
            self._chunks.append(data[start:end])

    def _end(self) -> None:
        self.is_complete = True


def _of_form(body: bytes, boundary: bytes) -> Upload:
    form = _Form()
    try:
        form.parse(body, boundary)
    except FormParserError as error:
        raise RequestError(400, f"The form is malformed ({error}).") from error
    if not form.is_complete:
        raise RequestError(400, "The form is malformed (it is incomplete).")
    if len(form.photos) != 1:
        raise RequestError(
            400, f"The form must have one file field {FIELD}, not {len(form.photos)}."
        )
    name, chunks = form.photos[0]
    return Upload(name, b"".join(chunks))


def _file_name(name: bytes) -> str:
    """Return the last part of a name, for the separators of any system."""
    # Browsers write a quotation mark as %22 (HTML, 4.10.22.8).
    text = name.decode("utf-8", "replace").replace("\\", "/").replace("%22", '"')
    return PurePath(text).name[:255] or "photo"


def _too_large() -> RequestError:
    return RequestError(413, f"The photo is larger than {MAX_BYTES >> 20} MiB.")
