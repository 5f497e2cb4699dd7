"""The networks of an index's embedder, each loaded when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pokesim.clock import lap
from pokesim.embedders import models
from pokesim.embedders.catalog import Precision, Runtime
from pokesim.embedders.runtimes import Network, open_network
from pokesim.errors import IndexFolderError, PokesimError
from pokesim.images import READING
from pokesim.index.manifest import EmbedderRecord

if TYPE_CHECKING:
    from pokesim.embedders.parts import PartsReader

Reader = TypeVar("Reader", "Network", "PartsReader")


class Networks:
    """What sees pictures as an index has them.

    Attributes:
        made_by: what the index says of its embedder.
        runtime, precision: what embeds.
    """

    def __init__(self, made_by: EmbedderRecord, runtime: Runtime, precision: Precision) -> None:
        self.made_by, self.runtime, self.precision = made_by, runtime, precision

    @cached_property
    def embedder(self) -> Network:
        """What embeds; for one thread at a time. Raises ModelError where it is not here."""
        with lap("load the model"):
            return self._checked(open_network(self._model(), self.runtime, self.precision))

    @cached_property
    def parts_reader(self) -> PartsReader:
        """What takes vectors apart, in LiteRT. Raises ModelError where it is not here."""
        from pokesim.embedders.parts import PartsReader

        return self._checked(PartsReader(self._model()))

    @cached_property
    def explains(self) -> bool:
        """Whether a vector is a sum over the places of a picture."""
        side = self.made_by.side
        try:
            self.parts_reader.parts(np.full((1, side, side, 3), 128, np.uint8))
        except PokesimError:
            return False
        return True

    def _model(self) -> models.Model:
        made_by = self.made_by
        return models.find(made_by.name, made_by.weights_sha256, made_by.export_version)

    def _checked(self, network: Reader) -> Reader:
        """Return a network if it sees pictures as the one that built the index did."""
        if (network.side, READING) != (self.made_by.side, self.made_by.reading):
            raise IndexFolderError(
                f"This version of pokesim reads pictures for {self.made_by.name} otherwise than "
                "the one that built the index; build it again."
            )
        return network
