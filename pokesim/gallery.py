"""Pictures with captions as a piece of HTML, which notebooks show for results."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape
from itertools import islice

from PIL import Image

from pokesim.errors import PictureError
from pokesim.images import PictureSource, thumbnail_of

MOST = 60
"""Pictures that a gallery shows."""

_SIDE = 160  # of a thumbnail, in pixels


def gallery(title: str, pictures: Iterable[tuple[PictureSource, str]]) -> str:
    """Return up to `MOST` pictures in rows, as HTML without scripts or external resources.

    A picture that cannot be read is left blank.

    Args:
        title: a line above the pictures.
        pictures: each with its caption.
    """
    figures = "".join(_figure(*one) for one in islice(pictures, MOST))
    return (
        f'<div style="font: 13px/1.4 system-ui, sans-serif"><p><bdi>{escape(title)}</bdi></p>'
        f'<div style="display: flex; flex-wrap: wrap; gap: 12px">{figures}</div></div>'
    )


def data_url(picture: Image.Image) -> str:
    """Return a picture as a data URL."""
    return f"data:image/webp;base64,{base64.b64encode(webp_of(picture)).decode('ascii')}"


def webp_of(picture: Image.Image) -> bytes:
    """Return a picture as WebP."""
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=80)
    return data.getvalue()


def _figure(source: PictureSource, caption: str) -> str:
    size = f"width: {_SIDE}px; height: {_SIDE}px"
    try:
        image = f'<img style="{size}; object-fit: contain" alt="" src="{_thumbnail(source)}">'
    except PictureError:
        image = f'<div style="{size}; background: #8883"></div>'
    text = f'<figcaption style="overflow-wrap: anywhere"><bdi>{escape(caption)}</bdi></figcaption>'
    return f'<figure style="margin: 0; width: {_SIDE}px">{image}{text}</figure>'


def _thumbnail(source: PictureSource) -> str:
    return data_url(thumbnail_of(source, 2 * _SIDE, 2 * _SIDE))  # sharp on a dense screen
