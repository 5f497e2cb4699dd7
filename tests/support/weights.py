"""Keras weights without network access, and what Keras itself makes of pictures."""

# A script that writes Keras weights from a seeded random initialisation, and the vectors of the
# first three photos: PHOTOS NAME FILE …
SEEDED = """
import sys, pathlib, keras, numpy as np
from pokesim.embedders.catalog import spec_of
from pokesim.embedders.keras_export import build
from pokesim.images import pixels_of
photos, *files = sys.argv[1:]
photos = sorted(pathlib.Path(photos).iterdir())[:3]
for name, out in zip(*[iter(files)] * 2, strict=True):
    keras.utils.set_random_seed(7)
    spec, out = spec_of(name), pathlib.Path(out)
    top, shape = spec.keras.classifier, (spec.side, spec.side, 3)
    getattr(keras.applications, spec.keras.class_name)(
        weights=None, include_top=top, pooling=None if top else "avg", input_shape=shape
    ).save_weights(out)
    pixels = np.stack([pixels_of(path, spec.side) for path in photos]).astype("float32")
    np.save(f"{out}.npy", build(spec, out)(pixels, training=False))  # tracing takes longer
    keras.backend.clear_session()
"""
