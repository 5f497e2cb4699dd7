"""The networks of an index's embedder, each loaded when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pokesim.embedders.catalog import Compute
from pokesim.embedders.model_cache import Model, find_model
from pokesim.embedders.runtimes import Embedder, open_embedder
from pokesim.errors import IndexFolderError, PokesimError
from pokesim.images import READING
from pokesim.index.manifest import EmbedderRecord
from pokesim.timing import span

if TYPE_CHECKING:
    from pokesim.embedders.attribution import Attributor

Reader = TypeVar("Reader", "Embedder", "Attributor")


class IndexEmbedder:
    """What sees pictures as an index has them.

    Attributes:
        made_by: what the index says of its embedder.
        compute: what runs the network.
    """

    def __init__(self, made_by: EmbedderRecord, compute: Compute) -> None:
        self.made_by, self.compute = made_by, compute

    @cached_property
    def embedder(self) -> Embedder:
        """What embeds; for one thread at a time. Raises ModelError where it is not here."""
        with span("load the model"):
            return self._checked(open_embedder(self._model(), self.compute))

    @cached_property
    def parts_reader(self) -> Attributor:
        """What takes vectors apart, in LiteRT. Raises ModelError where it is not here."""
        from pokesim.embedders.attribution import Attributor

        return self._checked(Attributor(self._model()))

    @cached_property
    def explains(self) -> bool:
        """Whether a vector is a sum over the places of a picture."""
        side = self.made_by.side
        try:
            self.parts_reader.parts(np.full((1, side, side, 3), 128, np.uint8))
        except PokesimError:
            return False
        return True

    def _model(self) -> Model:
        made_by = self.made_by
        return find_model(made_by)

    def _checked(self, network: Reader) -> Reader:
        """Return a network if it sees pictures as the one that built the index did."""
        if (network.side, READING) != (self.made_by.side, self.made_by.reading):
            raise IndexFolderError(
                f"This version of pokesim reads pictures for {self.made_by.name} otherwise than "
                "the one that built the index; build it again."
            )
        return network
