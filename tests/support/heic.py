"""HEIC files for tests, written by pillow-heif."""

import io

import numpy as np
import pillow_heif
from PIL import Image

from support.pictures import STORED_BY_ORIENTATION


def heic(
    picture: Image.Image, *others: Image.Image, orientation: int = 1, bits: int = 8, **options
) -> bytes:
    """Return an upright picture as HEIC.

    Args:
        picture: the file's main picture.
        others: more pictures, which come before it.
        orientation: how it is stored, in EXIF and in the picture's own data, as by a phone.
        bits: 8 or 10 for each value.
        options: of pillow-heif.
    """
    turn = STORED_BY_ORIENTATION.get(orientation)
    stored = picture if turn is None else picture.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = pillow_heif.HeifFile()
    for one in (*others, stored):
        if bits == 8:
            file.add_from_pillow(one)
        else:
            values = np.asarray(one).astype(np.uint16) * 257  # pillow-heif keeps 10 bits of 16
            file.add_frombytes(f"{one.mode};16", one.size, values.tobytes())
    out = io.BytesIO()
    quick = {"quality": 90, "enc_params": {"preset": "ultrafast"}}
    file.save(out, exif=exif.tobytes(), primary_index=len(others), **quick, **options)
    return out.getvalue()
