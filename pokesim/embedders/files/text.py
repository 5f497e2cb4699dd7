"""Run the part of a network for text: words → tokens → vectors among those of pictures."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pokesim.embedders.embedder import Model
from pokesim.embedders.files.runner import onnx_session
from pokesim.embedders.network import TEXT_READY, TOKENIZER, TextPart
from pokesim.errors import ModelError
from pokesim.timing import span

TOKENS, MASK = "input_ids", "attention_mask"
"""What hubs call the inputs of a part for text."""


class TextEmbedder:
    """Embeds text; safe to use from several threads."""

    def __init__(self, name: str, folder: Path, text: TextPart) -> None:
        """Load the files of a network's part for text.

        Args:
            name: of the network, for messages.
            folder: holds the files.
            text: how they are used.

        Raises:
            ModelError: a file is damaged, or a library that reads it is missing.
        """
        self._name, self._text = name, text
        self._lock = threading.Lock()
        self._tokenizer = open_tokenizer(folder / TOKENIZER)
        direction = "left" if text.is_left else "right"
        self._tokenizer.enable_truncation(text.length)
        self._tokenizer.enable_padding(direction=direction, pad_id=text.pad, length=text.length)
        try:
            self._session = onnx_session(folder / TEXT_READY, is_long=False)
        except RuntimeError as error:
            raise ModelError(
                f"The model file {folder / TEXT_READY} is damaged, or not for this version of "
                "onnxruntime; remove it with `pokesim cache clear models` and give it again."
            ) from error
        self._types = {
            one.name: np.int32 if one.type == "tensor(int32)" else np.int64
            for one in self._session.get_inputs()
        }

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of texts, float32 (n, d), as the network returns them.

        Raises:
            ModelError: the network fails on them.
        """
        rows = [self._one(text.lower() if self._text.is_lower else text) for text in texts]
        return np.concatenate(rows)

    def _one(self, text: str) -> NDArray[np.float32]:
        try:
            with self._lock:
                encoded = self._tokenizer.encode(text)
            mask = encoded.attention_mask if self._text.is_masked else [1] * self._text.length
            given: dict[str, Any] = {TOKENS: encoded.ids, MASK: mask}
            feed = {name: np.array([given[name]], dtype) for name, dtype in self._types.items()}
            (output,) = self._session.run([self._text.output], feed)
        except Exception as error:  # the libraries' own classes, derived from Exception alone
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{self._name} failed on {text[:60]!r} ({reason}).") from error
        found: NDArray[np.float32] = np.asarray(output, np.float32).reshape(1, -1)
        return found


def open_text(model: Model) -> TextEmbedder:
    """Load the part for text of a network in the cache, which has one. Raises ModelError."""
    assert model.network
    assert model.network.text
    return TextEmbedder(model.name, model.path.parent, model.network.text)


def open_tokenizer(path: Path) -> Any:
    """Read a tokenizer. Raises ModelError."""
    try:
        with span("import tokenizers"):
            import tokenizers
    except ImportError as error:
        raise ModelError(
            "tokenizers, which reads words for this network, is not installed; install it with "
            "`pip install 'pokesim[onnx]'`."
        ) from error
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # it raises no other
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path.name} is damaged, or no tokenizer ({reason}).") from error
