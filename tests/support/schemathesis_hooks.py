"""Photos that schemathesis sends where the OpenAPI schema expects one."""

import os
from pathlib import Path

import schemathesis
from hypothesis import strategies

PHOTOS = sorted(Path(os.environ["PHOTOS"]).iterdir())[:3]

photos = strategies.sampled_from([photo.read_bytes() for photo in PHOTOS]) | strategies.binary()
for kind in ("image/*", "application/octet-stream"):
    schemathesis.openapi.media_type(kind, photos)
