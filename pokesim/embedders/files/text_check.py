"""Find out how the part of an unknown network for text is used, and try it; see `check`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pokesim.embedders.files.ports import Tensor, names_of, rewritten, shape_of
from pokesim.embedders.files.settings import Settings
from pokesim.embedders.files.source import TEXT_FILE
from pokesim.embedders.files.text import MASK, TOKENS, TextEmbedder, open_tokenizer
from pokesim.embedders.network import MAX_TOKENS, TEXT_READY, TOKENIZER, TextPart
from pokesim.errors import ModelError

_OUTPUTS = ("text_embeds", "pooler_output", "embeddings", "features")
"""Outputs that are vectors, those that are preferred first."""

_INTEGERS = ("tensor(int64)", "tensor(int32)")

_TEXTS = ("two parrots on a branch", "x" * 20 + " y" * MAX_TOKENS)
"""What it is tried with; the second has more tokens than any network takes."""


def checked_text(folder: Path, settings: Settings, dimension: int) -> tuple[TextPart, list[str]]:
    """Convert the part for text in a folder into what is quick to load, and try it.

    Args:
        folder: holds copies of its files, and gets what is made of them.
        settings: what its publisher says.
        dimension: of the vectors of pictures.

    Returns:
        what is known of it, and the files to keep.

    Raises:
        ModelError: it is damaged, or takes something else than tokens.
    """
    # Before the network: a tokenizer may be missing, or anything.
    tokenizer = open_tokenizer(folder / TOKENIZER)
    kept, (inputs, outputs) = rewritten(folder / TEXT_FILE, Path(TEXT_READY).stem)
    tokens = next((one for one in inputs if one.name == TOKENS), None)
    if not tokens or {one.name for one in inputs} - {TOKENS, MASK}:
        raise ModelError(f"its part for text needs {names_of(inputs)}, and not {TOKENS} alone")
    if len(tokens.shape) != 2 or any(one.kind not in _INTEGERS for one in inputs):
        raise ModelError(
            f"the input {TOKENS} of its part for text is {tokens.kind} {shape_of(tokens)}, and not "
            "rows of whole numbers"
        )
    padding = tokenizer.padding or {}
    text = TextPart(
        output=_output(outputs),
        length=_length(tokens, settings, tokenizer),
        pad=_pad(tokenizer, settings, padding),
        is_left=padding["direction"] == "left" if padding else bool(settings.text_left),
        is_masked=settings.text_masked is not False,
        is_lower=bool(settings.text_lower),
    )
    found = TextEmbedder("the part for text", folder, text).embed(_TEXTS)
    if not np.isfinite(found).all():
        raise ModelError("its part for text returns numbers that are not finite")
    if found.shape[1] != dimension:
        raise ModelError(
            f"its part for text returns vectors of {found.shape[1]:,} dimensions, and that for "
            f"pictures of {dimension:,}, so the two cannot be compared"
        )
    return text, [*kept, TOKENIZER]


def _output(outputs: Any) -> str:
    by_name = {one.name: one for one in outputs}
    found = next((name for name in _OUTPUTS if name in by_name), None)
    if found is None and len(outputs) == 1 and len(outputs[0].shape) == 2:
        found = outputs[0].name
    if found is None:
        raise ModelError(
            f"its part for text returns {names_of(outputs)}, none of which is a vector; remove "
            f"{TEXT_FILE} to search by pictures alone"
        )
    return str(found)


def _length(tokens: Tensor, settings: Settings, tokenizer: Any) -> int:
    cut = tokenizer.truncation or {}
    length = tokens.shape[1] or settings.text_length or cut.get("max_length")
    if not length or length > MAX_TOKENS:
        raise ModelError(
            "how many tokens its part for text takes is not said by max_position_embeddings in "
            f"text_config of config.json, or is more than {MAX_TOKENS:,}"
        )
    return int(length)


def _pad(tokenizer: Any, settings: Settings, padding: dict[str, Any]) -> int:
    """Return the id of the token that fills text up: as the tokenizer or its configuration says."""
    if padding:
        return int(padding["pad_id"])
    given = settings.text_pad
    if isinstance(given, str):
        found = tokenizer.token_to_id(given)
        if found is None:
            raise ModelError(f"{TOKENIZER} has no token {given!r}, which is to fill text up")
        return int(found)
    return given or 0
