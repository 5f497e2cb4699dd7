"""Pictures are read as the reference implementations read them: those of `transformers`, on Pillow.

It needs no PyTorch for that.
"""

import json
from importlib import import_module

import pytest
from PIL import Image
from support.networks import CONFIGS

from pokesim.embedders.files.runner import prepared
from pokesim.embedders.files.settings import of_preprocessor
from pokesim.embedders.network import FileFormat, Network, Pooling
from pokesim.images import cropped, pixels_of
from pokesim.images.crop import Crop

pytest.importorskip("transformers", minversion="5")

SHAPES = [(640, 427), (427, 640), (700, 130), (97, 400), (225, 224), (60, 50)]


@pytest.fixture(scope="module")
def files(samples, tmp_path_factory):
    """Photographs of several proportions, larger and smaller than the input."""
    folder, photos = tmp_path_factory.mktemp("photos"), sorted(samples.photos.iterdir())
    paths = []
    for number, size in enumerate(SHAPES):
        with Image.open(photos[number]) as photo:
            paths.append(folder / f"{number}.jpg")
            photo.resize(size).save(paths[-1], quality=92)
    return photos[:6] + paths


@pytest.mark.parametrize(
    ("module", "kind", "changed"),
    [
        ("clip", "clip", {"size": {"shortest_edge": 224}, "crop_size": 224, "do_rescale": True}),
        ("bit", "dinov2", {"size": {"shortest_edge": 256}, "crop_size": 224}),
        ("siglip", "siglip", {"size": {"height": 224, "width": 224}}),
        ("siglip", "siglip", {"size": {"height": 256, "width": 256}, "resample": 3}),
        ("convnext", "dinov2", {"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 2}),
    ],
)
def test_pixels_are_within_one_of_the_reference(module, kind, changed, files):
    config = {**CONFIGS[kind][1], **changed}
    if module == "convnext":
        config = {key: value for key, value in config.items() if "crop_size" not in key}
        config |= {"image_processor_type": "ConvNextImageProcessor", "do_center_crop": None}
        config.pop("do_center_crop")
    processors = import_module(f"transformers.models.{module}.image_processing_pil_{module}")
    (reference,) = (
        getattr(processors, name) for name in processors.__all__ if name.endswith("ProcessorPil")
    )
    reference = reference(**{key: one for key, one in config.items() if not key.endswith("_type")})
    said = of_preprocessor(json.dumps(config).encode())
    network = Network(
        FileFormat.ONNX, {}, said.size, 1, said.resize, said.interpolation, said.scale, said.mean,
        said.std, "NCHW", "", "", Pooling.VECTOR,
    )  # fmt: skip
    for path in files:
        with Image.open(path) as photo:
            expected = reference(photo, return_tensors="np")["pixel_values"]
            part = reference(photo.crop((10, 7, 50, 45)), return_tensors="np")["pixel_values"]
        step = 1 / 255 / max(said.std)  # of one of 255
        values = prepared(pixels_of(path, network.frame)[None], network)
        assert values.shape == expected.shape
        assert abs(values - expected).max() < 0.01 * step
        here = pixels_of(cropped(path, Crop(10, 7, 40, 38)), network.frame)
        assert abs(prepared(here[None], network) - part).max() < 0.01 * step, "a part, as if alone"
