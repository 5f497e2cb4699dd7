"""How the publisher of a network uses it: its configuration files, and `pokesim-embedder.toml`."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pokesim.embedders.network import INTERPOLATIONS, LAYOUTS, MAX_SIDE, MAX_TOKENS, Pooling
from pokesim.errors import did_you_mean

SETTINGS_FILE = "pokesim-embedder.toml"

_Triple = tuple[float, float, float]

IMAGENET: tuple[_Triple, _Triple] = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of ImageNet's pictures, which most networks take."""

_CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

_HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)

_PIL_NAMES = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of interpolations, which the configurations use."""

_KINDS = {
    "CLIP": ("bicubic", _CLIP),
    "Siglip": ("bicubic", _HALF),
    "ViT": ("bilinear", _HALF),
    "Bit": ("bicubic", _CLIP),
    "ConvNext": ("bilinear", IMAGENET),
    "DeiT": ("bicubic", IMAGENET),
}
"""What an image processor of `transformers` does where its configuration is silent, by the start of
its name."""

_WARPED_FROM = 384
"""Side from which ConvNeXt's processor squeezes a picture, in place of cutting its middle out."""

_FIRST_TOKEN = {"dinov2", "dinov2_with_registers", "dinov3_vit", "vit", "deit", "beit", "clip"}
_FIRST_TOKEN |= {"clip_vision_model", "data2vec-vision", "vit_mae", "vit_msn", "ijepa"}
"""Architectures whose first token stands for the picture."""


class SettingsError(ValueError):
    """A configuration is not what it must be; the message says where and what."""


_TEXT_LENGTHS = {"clip": 77, "siglip": 64, "siglip2": 64}
"""Number of tokens of the architectures whose configuration may leave it out."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the files say; None where they are silent. The fields are those of `Network`.

    ``first_token`` says whether tokens begin with one that stands for the picture, and
    ``is_published`` whether there is a configuration of how pictures are read. ``text_pad`` is the
    token that fills up text, or its id; the others of ``text`` are as in `TextPart`.
    """

    name: str | None = None
    size: int | None = None
    resize: int | None = None
    interpolation: str | None = None
    scale: float | None = None
    mean: _Triple | None = None
    std: _Triple | None = None
    layout: str | None = None
    input: str | None = None
    output: str | None = None
    pooling: Pooling | None = None
    prefix: int | None = None
    licence: str | None = None
    first_token: bool | None = None
    is_published: bool = False
    text_length: int | None = None
    text_pad: str | int | None = None
    text_left: bool | None = None
    text_masked: bool | None = None
    text_lower: bool | None = None

    def over(self, others: Settings) -> Settings:
        """Return these settings, with those of others where these are silent."""
        own = {name: getattr(self, name) for name in self.__slots__}
        return replace(others, **{name: value for name, value in own.items() if value is not None})


def of_toml(text: bytes) -> Settings:
    """Read `pokesim-embedder.toml`.

    Raises:
        SettingsError: it is not TOML, or a key is unknown or has a value out of range.
    """
    try:
        found = tomllib.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{SETTINGS_FILE} is not TOML ({error})") from error
    for key in found.keys() - _KEYS.keys():
        hint = did_you_mean(key, _KEYS)
        raise SettingsError(f"{SETTINGS_FILE} has an unknown key, {key[:80]!r}.{hint}".rstrip("."))
    checked = {key: _checked(f"{SETTINGS_FILE}: {key}", _KEYS[key], found[key]) for key in found}
    if "prefix_tokens" in checked:
        checked["prefix"] = checked.pop("prefix_tokens")
    return Settings(**checked)


def of_config(text: bytes) -> Settings:
    """Read what the architecture says, from ``config.json``. Raises SettingsError."""
    config = _json("config.json", text)
    inner = config.get("vision_config")
    inner = inner if isinstance(inner, dict) else config
    kind = inner.get("model_type", config.get("model_type"))
    side = inner.get("image_size")
    if isinstance(side, list) and len(set(map(str, side))) == 1:
        side = side[0]
    registers = inner.get("num_register_tokens") or 0
    first = kind in _FIRST_TOKEN
    return Settings(
        **_of_text(config),
        size=_checked("config.json: image_size", _whole(1, MAX_SIDE), side) if side else None,
        layout="NCHW" if kind else None,
        first_token=first if kind else None,
        prefix=int(first) + _checked("config.json: num_register_tokens", _whole(0, 64), registers),
    )


def _of_text(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``config.json`` says about the part for text."""
    inner = config.get("text_config")
    if not isinstance(inner, dict):
        return {}
    kind = str(config.get("model_type"))
    length = inner.get("max_position_embeddings", _TEXT_LENGTHS.get(kind))
    pad = inner.get("pad_token_id")
    where, is_siglip = "config.json: text_config: ", kind.startswith("siglip")
    return {
        "text_length": length
        and _checked(f"{where}max_position_embeddings", _whole(1, MAX_TOKENS), length),
        "text_pad": pad and _checked(f"{where}pad_token_id", _whole(0, 2**31 - 1), pad),
        # SigLIP learned from text in lower case, and to read the tokens that fill.
        "text_masked": not is_siglip,
        "text_lower": is_siglip,
    }


def of_tokenizer(text: bytes) -> Settings:
    """Read how text is filled up, from ``tokenizer_config.json``. Raises SettingsError."""
    config = _json("tokenizer_config.json", text)
    length, pad = config.get("model_max_length"), config.get("pad_token")
    pad = pad.get("content") if isinstance(pad, dict) else pad
    side = config.get("padding_side")
    where = "tokenizer_config.json: "
    return Settings(
        # If there is no limit, it is 10 ** 30.
        text_length=length if type(length) is int and 0 < length <= MAX_TOKENS else None,
        text_pad=pad and _checked(f"{where}pad_token", _text(200), pad),
        text_left=None if side is None else side == "left",
        text_lower=config.get("do_lower_case") is True or None,
    )


def of_preprocessor(text: bytes) -> Settings:
    """Read how a picture becomes the input, from ``preprocessor_config.json``.

    Raises:
        SettingsError: it is damaged, or asks for what pokesim does not do.
    """
    name = "preprocessor_config.json"
    config = _json(name, text)
    kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    usual = next((found for start, found in _KINDS.items() if kind.startswith(start)), None)
    for key, what in (("do_pad", "margins"), ("do_flip_channel_order", "BGR")):
        if config.get(key) is True:
            raise SettingsError(f"{name} asks for {what} ({key}), which pokesim does not do")
    mean, std = usual[1] if usual else IMAGENET
    is_normalized = config.get("do_normalize", True) is not False
    triple = _triple(-1e4, 1e4)
    size, resize = _geometry(name, config)
    number = config.get("resample", config.get("interpolation"))
    return Settings(
        size=size,
        resize=resize,
        interpolation=_interpolation(name, number) or (usual[0] if usual else "bilinear"),
        scale=_checked(f"{name}: rescale_factor", _number(0, 1e4), _scale(config)),
        mean=_checked(f"{name}: image_mean", triple, config.get("image_mean", list(mean)))
        if is_normalized
        else (0.0, 0.0, 0.0),
        std=_checked(f"{name}: image_std", _triple(1e-9, 1e4), config.get("image_std", list(std)))
        if is_normalized
        else (1.0, 1.0, 1.0),
        is_published=True,
    )


def _scale(config: Mapping[str, Any]) -> Any:
    return 1.0 if config.get("do_rescale") is False else config.get("rescale_factor", 1 / 255)


def _interpolation(name: str, value: Any) -> str | None:
    if value is None or value in INTERPOLATIONS:
        return value and str(value)
    if type(value) is int and value in _PIL_NAMES:
        return _PIL_NAMES[value]
    raise SettingsError(f"{name}: resample is none that pokesim knows")


def _geometry(name: str, config: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the side of the square, and what the shorter side is scaled to before."""
    whole = _whole(1, MAX_SIDE)
    crop = _side(name, "crop_size", config.get("crop_size"))
    crop = crop if config.get("do_center_crop", crop is not None) else None
    size = config.get("size")
    if config.get("do_resize") is False or size is None:
        return crop, None
    if isinstance(size, dict) and "shortest_edge" in size:
        shorter = _checked(f"{name}: size", whole, size["shortest_edge"])
        share = config.get("crop_pct")
        if share is not None and crop is None:
            share = _checked(f"{name}: crop_pct", _number(0.1, 1), share)
            return shorter, int(shorter / share) if shorter < _WARPED_FROM else 0
        if crop is None:
            raise SettingsError(
                f"{name} makes pictures that are not square; set size and resize in {SETTINGS_FILE}"
            )
        return _cut_out(name, crop, shorter)
    if type(size) is int and crop is not None:  # of the first versions of CLIP's
        return _cut_out(name, crop, _checked(f"{name}: size", whole, size))
    squeezed = _side(name, "size", size)
    if crop is not None and squeezed is not None and crop != squeezed:
        raise SettingsError(f"{name} squeezes pictures and then cuts, which pokesim does not do")
    return squeezed, 0


def _cut_out(name: str, crop: int, shorter: int) -> tuple[int, int]:
    if crop > shorter:
        raise SettingsError(f"{name}: crop_size is larger than the picture that it is cut out of")
    return crop, shorter


def _side(name: str, key: str, value: Any) -> int | None:
    """Return the side of a square that is given as a number or as a height and a width."""
    if isinstance(value, dict):
        height, width = value.get("height"), value.get("width")
        if height != width:
            raise SettingsError(f"{name}: {key} is not a square")
        value = height
    return None if value is None else int(_checked(f"{name}: {key}", _whole(1, MAX_SIDE), value))


def _json(name: str, text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{name} is not JSON") from error
    if not isinstance(found, dict):
        raise SettingsError(f"{name} is not an object")
    return found


_Check = Callable[[Any], Any]
"""Returns the value, or raises ValueError with what it must be."""


def _checked(where: str, check: _Check, value: Any) -> Any:
    try:
        return check(value)
    except ValueError as error:
        raise SettingsError(f"{where} must be {error}") from error


def _whole(least: int, most: int) -> _Check:
    def check(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"a whole number from {least} to {most:,}")
        return value

    return check


def _number(least: float, most: float) -> _Check:
    def check(value: Any) -> float:
        if type(value) not in (int, float) or not least <= value <= most or math.isnan(value):
            raise ValueError(f"a number from {least:g} to {most:g}")
        return float(value)

    return check


def _triple(least: float, most: float) -> _Check:
    def check(value: Any) -> tuple[float, ...]:
        value = [value] * 3 if type(value) in (int, float) else value
        if not isinstance(value, list) or len(value) != 3:
            raise ValueError("three numbers")
        return tuple(_number(least, most)(one) for one in value)

    return check


def _one_of(*known: str) -> _Check:
    def check(value: Any) -> str:
        if value not in known:
            raise ValueError(" or ".join(known))
        return str(value)

    return check


def _text(most: int) -> _Check:
    def check(value: Any) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
            raise ValueError(f"text of at most {most} characters")
        return value

    return check


def _resize(value: Any) -> int:
    if value == "squeeze":
        return 0
    if type(value) is not int or not 1 <= value <= 4 * MAX_SIDE:
        raise ValueError('"squeeze", or what the shorter side is scaled to, in pixels')
    return value


_KEYS: dict[str, _Check] = {
    "name": _text(50),
    "size": _whole(1, MAX_SIDE),
    "resize": _resize,
    "interpolation": _one_of(*INTERPOLATIONS),
    "scale": _number(0, 1e4),
    "mean": _triple(-1e4, 1e4),
    "std": _triple(1e-9, 1e4),
    "layout": _one_of(*LAYOUTS),
    "input": _text(200),
    "output": _text(200),
    "pooling": lambda value: Pooling(_one_of(*Pooling)(value)),
    "prefix_tokens": _whole(0, 1000),
    "licence": _text(100),
}
