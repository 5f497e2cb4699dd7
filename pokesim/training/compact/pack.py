"""Read the training pictures and the teacher's vectors of them into one file.

    python -m pokesim.training.compact.pack --data DIR --out FILE.npz

`train` reads this file and nothing else, so that it can run on a machine with a GPU that has
neither the pictures nor pokesim's dependencies. The file is small, because its pictures are squares
of 144 pixels, compressed again.
"""

import argparse
import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image

from pokesim.training.compact import data
from pokesim.training.compact.data import Array, Picture
from pokesim.training.lda import unit

SOURCE = 144  # side of the packed pictures
QUALITY, ALPHA_QUALITY = 60, 20  # of their WebP compression
SCENES_PER_CLASS = 70  # in each style
PCA = 256  # dimension of the teacher's vectors in the file


@dataclass(frozen=True)
class Pack:
    """The training data: n pictures with their labels and the teacher's vectors of them.

    Attributes:
        encoded: the pictures, as WebP files one after the other, uint8 (bytes,).
        ends: where each of them ends in ``encoded``, int64 (n,).
        aspect, opaque, frame: as `data.read_cutout` returns them: float32 (n,), bool (n,),
            float32 (n, 4).
        label, style, kind: str (n,).
        teacher: the teacher's vectors, float16 (n, PCA), of length 1.
    """

    encoded: Array
    ends: Array
    aspect: Array
    opaque: Array
    frame: Array
    label: Array
    style: Array
    kind: Array
    teacher: Array

    def save(self, file: Path) -> None:
        """Write the pack."""
        with file.open("wb") as out:
            np.savez(out, **{field.name: getattr(self, field.name) for field in fields(self)})

    @staticmethod
    def load(file: Path) -> "Pack":
        """Read a pack."""
        with np.load(file, allow_pickle=False) as saved:
            return Pack(**{field.name: saved[field.name] for field in fields(Pack)})

    def select(self, keep: Array) -> "Pack":
        """Return the pack of the pictures that ``keep``, bool (n,), marks."""
        starts = np.concatenate([[0], self.ends[:-1]])
        parts = [self.encoded[a:b] for a, b in zip(starts[keep], self.ends[keep], strict=True)]
        chosen = {f.name: getattr(self, f.name)[keep] for f in fields(self)[2:]}
        return Pack(np.concatenate(parts), np.cumsum([len(p) for p in parts]), **chosen)

    def pixels(self) -> Array:
        """Decode the pictures: uint8 (n, SOURCE, SOURCE, 4), premultiplied by alpha."""
        starts = [0, *self.ends[:-1]]
        files = (self.encoded[a:b].tobytes() for a, b in zip(starts, self.ends, strict=True))
        with ThreadPoolExecutor() as pool:
            return np.stack(list(pool.map(_decoded, files)))


def _decoded(file: bytes) -> Array:
    return data.premultiplied(Image.open(io.BytesIO(file)))


def training_pictures(root: Path) -> list[Picture]:
    """Return the pictures that `compact` is trained on.

    Flowers and natural, half of caltech101's classes, one style, and all pictures of the dev and
    test species are left for evaluation.
    """
    scenes = [*data.pacs(root), *data.fitted_caltech(root), *data.photos(root, "imagenette")]
    return [
        *data.creatures(root),
        *data.emoji(root),
        *data.thinned(scenes, SCENES_PER_CLASS),
        *data.portraits(root),
    ]


def pack(pictures: Sequence[Picture], teacher: Array) -> Pack:
    """Read and compress pictures; ``teacher`` (n, d) are the teacher's features of them."""
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(_packed, pictures))
    files, aspect, opaque, frame = zip(*read, strict=True)
    return Pack(
        np.frombuffer(b"".join(files), np.uint8),
        np.cumsum([len(file) for file in files]),
        np.array(aspect, np.float32),
        np.array(opaque),
        np.stack(frame),
        np.array([picture.label for picture in pictures]),
        np.array([picture.style for picture in pictures]),
        np.array([picture.kind.value for picture in pictures]),
        reduced(teacher),
    )


def _packed(picture: Picture) -> tuple[bytes, float, bool, Array]:
    square, aspect, opaque, frame = data.read_cutout(picture.path, SOURCE)
    file = io.BytesIO()
    square.convert("RGB" if opaque else "RGBA").save(
        file, "WEBP", quality=QUALITY, alpha_quality=ALPHA_QUALITY, method=4
    )
    return file.getvalue(), aspect, opaque, frame


def reduced(features: Array) -> Array:
    """Centre features (n, d) and reduce them to PCA principal components, of length 1."""
    centred = features - features.mean(0)
    _, directions = np.linalg.eigh(centred.T @ centred)  # in ascending order
    x = centred @ directions[:, : -PCA - 1 : -1]
    return unit(x).astype(np.float16)


def teacher_features(pictures: Iterable[Picture]) -> Array:
    """Return EfficientNet-Lite0's and -Lite2's features (n, 2560), halves of length 1."""
    from pokesim.embedders.prepare import prepare_model
    from pokesim.embedders.runtimes import open_embedder
    from pokesim.images import pixels_of

    embedders = [
        open_embedder(prepare_model(name)) for name in ("efficientnet_lite0", "efficientnet_lite2")
    ]

    def rows() -> Iterator[Array]:
        for picture in pictures:
            halves = [e.embed(pixels_of(picture.path, e.side)[None])[0] for e in embedders]
            yield np.concatenate([unit(half) for half in halves])

    return np.stack(list(rows()))


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the pictures")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    arguments = parser.parse_args()
    pictures = training_pictures(arguments.data)
    pack(pictures, teacher_features(pictures)).save(arguments.out)
    print(f"{len(pictures)} pictures, {arguments.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
