"""How much each position of a network's last feature map contributes to the vector.

A network ends by pooling a feature map (n, h, w, c) to (n, c), followed by linear layers and, in
some, a scaling to length 1. The vector is therefore a sum over positions. In a mean, every position
contributes its share; in a maximum, only the positions that attain it; and the linear layers can be
applied to each position separately. Class activation maps do the same below a classifier (Zhou et
al. 2016, "Learning Deep Features for Discriminative Localization").
"""

from __future__ import annotations

import mmap
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.embedder import Model
from pokesim.embedders.litert import LiteRTEmbedder
from pokesim.embedders.pair import Join, mirrored, resized
from pokesim.errors import PokesimError

Parts: TypeAlias = NDArray[np.float32]
"""Attributions, float32 (n, h, w, m); summed over positions, they give a tensor (n, m)."""

_PARALLEL = 0.9999
"""Least cosine between a vector and the sum of its parts; rounding alone leaves 1 - 1e-6."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One operator of the network: its code in LiteRT's schema, its input and output tensors."""

    code: int
    reads: list[int]
    writes: int


class Attributor(Protocol):
    """Attributes the vectors of pictures to positions in them; safe to use from several threads."""

    @property
    def side(self) -> int:
        """Width and height of the input, in pixels."""

    def parts(self, pixels: NDArray[np.uint8]) -> Parts:
        """Split the vectors of pictures into the contributions of positions.

        Args:
            pixels: uint8 (n, side, side, 3), RGB.

        Returns:
            float32 (n, h, w, dimension); the sum over positions is the embedded vectors.

        Raises:
            PokesimError: this network's vector is not a sum over positions.
        """


def open_attributor(model: Model) -> Attributor:
    """Load a model, to attribute its vectors. Raises ModelError if its file is damaged."""
    if model.network:
        from pokesim.embedders.files.attribution import PlacesAttributor

        return PlacesAttributor(model)
    if model.parts:
        return PairAttributor(model, *(NetworkAttributor(part) for part in model.parts))
    return NetworkAttributor(model)


class NetworkAttributor:
    """Attributes the vectors of one network.

    It keeps every tensor that the network computes, which makes it several times slower than
    `LiteRTEmbedder`.
    """

    def __init__(self, model: Model) -> None:
        """Load a model file.

        Raises:
            ModelError: the file is missing or damaged.
        """
        self._name = model.name
        self._network = LiteRTEmbedder(model.path, keep_tensors=True)
        self._steps = _steps_of(model.path)
        self._lock = threading.Lock()  # tensors must be read before the next run overwrites them
        self.side = self._network.side

    def parts(self, pixels: NDArray[np.uint8]) -> Parts:
        """Split the vectors of pictures into the contributions of positions; see `Attributor`."""
        with self._lock:
            vectors = self._network.embed(pixels)  # (n, d)
            parts = self._last_parts()
        whole = parts.sum(axis=(1, 2))  # (n, d): the vectors, before they are scaled
        lengths = np.linalg.norm(whole, axis=1)
        expected = np.linalg.norm(vectors, axis=1)
        if whole.shape != vectors.shape or np.any(
            np.sum(whole * vectors, axis=1) < _PARALLEL * lengths * expected
        ):
            raise PokesimError(
                f"{self._name} cannot be explained: its vector is not a sum over positions."
            )
        scale = expected / np.where(lengths > 0, lengths, 1)
        scaled: Parts = parts * scale[:, None, None, None].astype(np.float32)
        return scaled

    def _last_parts(self) -> Parts:
        """Return the parts of the last tensor that pooling and linear steps alone lead to."""
        known: dict[int, Parts] = {}
        last = np.zeros((1, 1, 1, 1), np.float32)
        for step in self._steps:
            if (parts := self._after(step, known)) is not None:
                known[step.writes] = last = parts
        return last

    def _after(self, step: _Step, known: dict[int, Parts]) -> Parts | None:
        """Return the parts of a step's output if it pools a map or is linear in known parts."""
        from ai_edge_litert.schema_py_generated import BuiltinOperator as Op

        first, *others = step.reads
        if step.code in (Op.MEAN, Op.REDUCE_MAX):
            features = self._network.tensor(first)
            return _pooled(features, step.code == Op.MEAN) if features.ndim == 4 else None
        if step.code == Op.CONCATENATION and known.keys() >= {*step.reads}:
            return np.concatenate([known[at] for at in step.reads], axis=-1)
        if step.code == Op.FULLY_CONNECTED and first in known:
            weights, *bias = (self._network.tensor(at) for at in others if at >= 0)
            parts: Parts = known[first] @ weights.T
            # A bias belongs to no position, so it is shared out equally.
            return parts + sum(bias) / np.float32(parts.shape[1] * parts.shape[2])
        return None


class PairAttributor:
    """Attributes the vectors of a pair, on the finer grid of its two parts."""

    def __init__(self, model: Model, photographs: Attributor, drawings: Attributor) -> None:
        """Read the head.

        Args:
            model: the model of the pair.
            photographs: its first part.
            drawings: its second part.

        Raises:
            ModelError: the head is damaged.
        """
        self._join = Join(model)
        self._photographs, self._drawings = photographs, drawings
        self.side = max(photographs.side, drawings.side)

    def parts(self, pixels: NDArray[np.uint8]) -> Parts:
        """Split the vectors of pictures into the contributions of positions; see `Attributor`."""
        first = self._photographs.parts(resized(pixels, self._photographs.side))
        small = resized(pixels, self._drawings.side)
        # What the mirror image shows on the right is on the left of the picture.
        second = self._drawings.parts(small) + self._drawings.parts(mirrored(small))[:, :, ::-1]
        height, width = np.maximum(first.shape[1:3], second.shape[1:3])
        return self._join(_spread(first, height, width), _spread(second, height, width))


def _spread(parts: Parts, height: int, width: int) -> Parts:
    """Distribute parts over a grid of height × width positions; see `spread_over`."""
    rows, columns = spread_over(parts.shape[1], height), spread_over(parts.shape[2], width)
    spread: Parts = np.einsum("yi,xj,nijm->nyxm", rows, columns, parts, optimize=True)
    return spread


def spread_over(count: int, finer: int) -> NDArray[np.float32]:
    """Return the share of each of ``count`` equal cells of a line in each of ``finer`` others.

    A cell's share is bilinear in the distance of the centres, and all shares of a cell sum to 1, so
    that a sum over the cells is the same sum over the others.

    Returns:
        float32 (finer, count).
    """
    centres = np.clip((np.arange(finer) + 0.5) * count / finer - 0.5, 0, count - 1)
    weights = np.clip(1 - np.abs(centres[:, None] - np.arange(count)), 0, 1)
    shares: NDArray[np.float32] = (weights / weights.sum(axis=0)).astype(np.float32)
    return shares


def _pooled(features: NDArray[np.float32], by_mean: bool) -> Parts:
    """Split the mean, or the maximum, of a map (n, h, w, c) into the parts of its positions."""
    shares = np.ones_like(features)
    if not by_mean:
        shares[features < features.max(axis=(1, 2), keepdims=True)] = 0
    parts: Parts = features * (shares / shares.sum(axis=(1, 2), keepdims=True))
    return parts


def _steps_of(path: Path) -> list[_Step]:
    """Read the operators of a LiteRT file in execution order."""
    from ai_edge_litert.schema_py_generated import Model as Graph

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        graph = Graph.GetRootAs(data)
        main = graph.Subgraphs(0)
        operators = [main.Operators(at) for at in range(main.OperatorsLength())]
        return [
            _Step(
                graph.OperatorCodes(operator.OpcodeIndex()).BuiltinCode(),
                operator.InputsAsNumpy().tolist(),
                operator.Outputs(0),
            )
            for operator in operators
        ]
