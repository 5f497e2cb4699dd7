"""Keras weights without network access."""

# A script that writes Keras weights from a seeded random initialisation: NAME TOP FILE …
SEEDED = """
import sys, keras
for name, top, out in zip(*[iter(sys.argv[1:])] * 3, strict=True):
    keras.utils.set_random_seed(7)
    getattr(keras.applications, name)(
        weights=None, include_top=bool(top), pooling=None if top else "avg",
        input_shape=(224, 224, 3),
    ).save_weights(out)
"""
