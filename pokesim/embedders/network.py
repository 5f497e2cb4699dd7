"""What must be known of a network from a file to run it as its publisher does.

The networks of the catalogue take pixels and return vectors, as `keras_export` makes them. Any
other network has its own input, preprocessing and output; an index records them beside the hashes
of the files, and so does the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pokesim.images import Frame

LAYOUTS = ("NCHW", "NHWC")

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")

MAX_SIDE, MAX_DIMENSION = 4096, 16_384

MAX_TOKENS = 4096
"""The most tokens that a part for text may take."""

TEXT_READY, TOKENIZER = "text.onnx", "tokenizer.json"
"""The files in the cache of a network's part for text."""


class FileFormat(StrEnum):
    """What kind of file the cache holds of a network."""

    ONNX = "onnx"
    LITERT = "litert"
    OPENVINO = "openvino"


class Pooling(StrEnum):
    """How the output of a network becomes a vector."""

    VECTOR = "vector"
    """It is one already: (n, d)."""

    CLS = "cls"
    """The first token: of (n, t, d)."""

    MEAN = "mean"
    """The mean of the tokens of patches: of (n, t, d), less those before them."""

    MAP = "map"
    """The mean over the places of a feature map: (n, d, h, w) or (n, h, w, d), as the input is."""


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """A file of a network, as it was given: its size and SHA-256 in hexadecimal."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class HubOrigin:
    """Where on the Hugging Face hub the files came from: owner/name, and the commit."""

    repository: str
    commit: str


@dataclass(frozen=True, slots=True)
class TextPart:
    """The part of a network that embeds text, which pictures are searched with.

    Its files in the cache are `TEXT_READY` and the tokenizer, `TOKENIZER`.

    Attributes:
        output: name of the tensor with the vectors.
        length: number of tokens that it takes; text is padded to it, or truncated.
        pad: id of the padding token.
        is_left: whether text is padded at the start.
        is_masked: whether the network gets an attention mask, which marks the padding.
        is_lower: whether text is lower-cased before its tokenizer reads it.
    """

    output: str
    length: int
    pad: int
    is_left: bool
    is_masked: bool
    is_lower: bool


@dataclass(frozen=True, slots=True)
class Network:
    """A network from a file.

    Attributes:
        format: what the cache holds.
        files: the files as they were given, by name.
        side: width and height of its input, in pixels.
        dimension: length of the vector.
        resize: what a picture's shorter side is scaled to, in pixels, before the middle is cut out;
            0 if the picture is squeezed to the square.
        interpolation: one of `INTERPOLATIONS`.
        scale, mean, std: an input value is (scale × (0..255) - mean) / std, by channel.
        layout: one of `LAYOUTS`.
        input, output: names of the tensors.
        pooling: how the output becomes a vector.
        prefix: number of tokens before those of patches.
        batch: number of pictures that it takes at a time; 0 for any.
        licence: of the weights; empty if it is not stated.
        origin: where it came from, if from the hub.
        text: its part for text, if it has one.
    """

    format: FileFormat
    files: Mapping[str, NetworkFile]
    side: int
    dimension: int
    resize: int
    interpolation: str
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    layout: str
    input: str
    output: str
    pooling: Pooling
    prefix: int = 0
    batch: int = 0
    licence: str = ""
    origin: HubOrigin | None = None
    text: TextPart | None = None

    @property
    def frame(self) -> Frame:
        """How a picture becomes the input."""
        from pokesim.images import Frame  # takes longer to import than the catalogue

        return Frame(self.side, self.resize, self.interpolation)

    @property
    def sha256(self) -> str:
        """The hash of its files: of the one file itself, or of all their names and hashes."""
        return files_sha256(self.files)

    def to_fields(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        return asdict(self)

    @staticmethod
    def from_fields(fields: Mapping[str, Any]) -> Network:
        """Return a network from fields that pokesim wrote; raises what a wrong one leads to."""
        files = {name: NetworkFile(**one) for name, one in fields["files"].items()}
        origin = fields["origin"] and HubOrigin(**fields["origin"])
        text = fields["text"] and TextPart(**fields["text"])
        changed = {
            "format": FileFormat(fields["format"]),
            "pooling": Pooling(fields["pooling"]),
            "mean": tuple(fields["mean"]),
            "std": tuple(fields["std"]),
        }
        return Network(**{**fields, **changed, "files": files, "origin": origin, "text": text})


def files_sha256(files: Mapping[str, NetworkFile]) -> str:
    """Return the hash that stands for the files of a network."""
    if len(files) == 1:
        return next(iter(files.values())).sha256
    import hashlib  # only here: the command line imports this module to show its help

    lines = (f"{name} {one.sha256}\n" for name, one in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
