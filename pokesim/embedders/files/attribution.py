"""How much each place of a picture contributes to the vector of a network from a file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.catalog import Compute
from pokesim.embedders.embedder import Model
from pokesim.embedders.files.runner import compute_of, open_output, places
from pokesim.embedders.network import Pooling
from pokesim.errors import PokesimError

_WHY = {
    Pooling.VECTOR: "its file returns a vector and not the places that it is made of",
    Pooling.CLS: "its vector is that of one token, which stands for the whole picture",
}


class PlacesAttributor:
    """Attributes a vector that is a mean over places to these places."""

    def __init__(self, model: Model) -> None:
        """Load the network. Raises ModelError."""
        assert model.network
        self._name, self._network = model.name, model.network
        self.side = model.network.side
        self._output = open_output(model, compute_of(model.network, Compute()))

    def parts(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Split vectors into the contributions of places; see `Attributor`."""
        if why := _WHY.get(self._network.pooling):
            raise PokesimError(f"{self._name} cannot be explained: {why}.")
        outputs = (self._output(pixels[at : at + 1]) for at in range(len(pixels)))
        parts = np.concatenate([places(one, self._network) for one in outputs])
        shares: NDArray[np.float32] = (parts / (parts.shape[1] * parts.shape[2])).astype(np.float32)
        return shares
