"""Keras weights without network access."""

# A script that writes Keras weights from a seeded random initialisation.
SEEDED = """
import sys, keras
keras.utils.set_random_seed(7)
name, top, out = sys.argv[1], sys.argv[2] == "top", sys.argv[3]
getattr(keras.applications, name)(
    weights=None, include_top=top, pooling=None if top else "avg", input_shape=(224, 224, 3)
).save_weights(out)
"""
