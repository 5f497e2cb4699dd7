"""What each position of a network's last feature map adds to the vector.

Networks end by pooling a feature map (n, h, w, c) to (n, c); what comes then is linear, but for a
last scaling to length 1. So the vector is a sum over positions: of a mean each position gives its
share, of a maximum those that attain it, and the layers above are applied to each position alone.
That is what class activation maps do below a classifier (Zhou et al. 2016, "Learning Deep Features
for Discriminative Localization").
"""

from __future__ import annotations

import mmap
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.litert import LiteRTEmbedder
from pokesim.embedders.model_cache import Model
from pokesim.errors import PokesimError

Parts: TypeAlias = NDArray[np.float32]
"""Float32 (n, h, w, m), whose sum over positions is a tensor (n, m) of the network."""

_PARALLEL = 0.9999
"""Cosine of a vector and the sum of its parts, at least; rounding leaves 1 - 1e-6."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One operator of the network: its code in LiteRT's schema, and its tensors."""

    code: int
    reads: list[int]
    writes: int


class Attributor:
    """A network run with all that it computes kept: some times slower than `LiteRTEmbedder`."""

    def __init__(self, model: Model) -> None:
        """Load a model file.

        Raises:
            ModelError: the file is missing or damaged.
        """
        self._name = model.name
        self._network = LiteRTEmbedder(model.path, keep_tensors=True)
        self._steps = _steps_of(model.path)
        self._lock = threading.Lock()  # what was computed is read after it was computed
        self.side = self._network.side

    def parts(self, pixels: NDArray[np.uint8]) -> Parts:
        """Take the vectors of pictures apart.

        Args:
            pixels: uint8 (n, side, side, 3), RGB.

        Returns:
            float32 (n, h, w, dimension); its sum over positions is the vectors, as embedded.

        Raises:
            PokesimError: this network's vector is no sum over positions.
        """
        with self._lock:
            vectors = self._network.embed(pixels)  # (n, d)
            parts = self._last_parts()
        whole = parts.sum(axis=(1, 2))  # (n, d): the vectors, but for their lengths
        lengths = np.linalg.norm(whole, axis=1)
        wanted = np.linalg.norm(vectors, axis=1)
        if whole.shape != vectors.shape or np.any(
            np.sum(whole * vectors, axis=1) < _PARALLEL * lengths * wanted
        ):
            raise PokesimError(
                f"{self._name} cannot be explained: its vector is no sum over places of a picture."
            )
        scale = wanted / np.where(lengths > 0, lengths, 1)
        scaled: Parts = parts * scale[:, None, None, None].astype(np.float32)
        return scaled

    def _last_parts(self) -> Parts:
        """Return the parts of the last tensor that pooling and linear steps lead to."""
        known: dict[int, Parts] = {}
        last = np.zeros((1, 1, 1, 1), np.float32)
        for step in self._steps:
            if (parts := self._after(step, known)) is not None:
                known[step.writes] = last = parts
        return last

    def _after(self, step: _Step, known: dict[int, Parts]) -> Parts | None:
        """Return the parts of what a step writes, if it pools a map or is linear in known parts."""
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
            # A bias is of no place, so all places share it.
            return parts + sum(bias) / np.float32(parts.shape[1] * parts.shape[2])
        return None


def _pooled(features: NDArray[np.float32], by_mean: bool) -> Parts:
    """Take the mean, or the maximum, of a map (n, h, w, c) over all positions apart."""
    shares = np.ones_like(features)
    if not by_mean:
        shares[features < features.max(axis=(1, 2), keepdims=True)] = 0
    parts: Parts = features * (shares / shares.sum(axis=(1, 2), keepdims=True))
    return parts


def _steps_of(path: Path) -> list[_Step]:
    """Read the operators of a LiteRT file, in the order in which they are run."""
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
