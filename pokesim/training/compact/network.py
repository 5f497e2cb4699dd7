"""A small residual network of plain convolutions, designed for CPUs.

On a CPU with matrix units, plain 3x3 convolutions in multiples of 32 channels are several times as
fast per multiplication as depthwise ones. Therefore the blocks are ResNet's (He et al. 2016, "Deep
Residual Learning for Image Recognition"), with the shortcut of ResNet-D (average pool, then 1x1; He
et al. 2019, "Bag of Tricks for Image Classification with Convolutional Neural Networks").

The network is written in Keras, which trains it in JAX (`train`) and exports it from TensorFlow.
"""

from typing import Any, TypeAlias

import keras
from keras import layers

Tensor: TypeAlias = Any
"""A tensor, layer or model of Keras or JAX, which have few type hints."""

SIZE = 128  # side of the input picture
DIM = 256  # dimension of the embedding
WIDTH = 512  # channels of the last blocks
FEATURES = 2 * WIDTH  # dimension of the pooled features before the embedding
BATCH_NORM_MOMENTUM = 0.97


def convolve(x: Tensor, channels: int, kernel: int, stride: int = 1, relu: bool = True) -> Tensor:
    """Apply a convolution, batch normalisation and, by default, ReLU."""
    x = layers.Conv2D(channels, kernel, stride, "same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, epsilon=1e-3)(x)
    return layers.ReLU()(x) if relu else x


def residual(x: Tensor, channels: int, stride: int = 1, bottleneck: int | None = None) -> Tensor:
    """Apply a residual block: two 3x3 convolutions, or 1x1, 3x3, 1x1 of width ``bottleneck``."""
    if bottleneck is None:
        y = convolve(x, channels, 3, stride)
        y = convolve(y, channels, 3, relu=False)
    else:
        y = convolve(x, bottleneck, 1)
        y = convolve(y, bottleneck, 3, stride)
        y = convolve(y, channels, 1, relu=False)
    if stride > 1:
        x = layers.AveragePooling2D(stride, padding="same")(x)
    if x.shape[-1] != channels:
        x = convolve(x, channels, 1, relu=False)
    return layers.ReLU()(layers.Add()([x, y]))


def build(precision: str) -> Tensor:
    """Build the network: RGB 0..255 (n, SIZE, SIZE, 3) -> vectors (n, DIM), features (n, FEATURES).

    The vectors have length 1. The convolutions compute in ``precision``: "mixed_bfloat16" in
    training, "float32" otherwise.
    """
    keras.config.set_dtype_policy(precision)
    pixels = layers.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 127.5, -1.0)(pixels)
    x = convolve(x, 64, 7, 4)  # (n, 32, 32, 64)
    x = residual(x, 64)
    x = residual(x, 128, 2)  # (n, 16, 16, 128)
    x = residual(x, 128)
    x = residual(x, 256, 2)  # (n, 8, 8, 256)
    x = residual(x, 256, bottleneck=128)
    x = residual(x, 256, bottleneck=128)
    x = residual(x, 256, bottleneck=128)
    x = residual(x, WIDTH, 2, bottleneck=128)  # (n, 4, 4, 512)
    x = residual(x, WIDTH, bottleneck=128)
    x = residual(x, WIDTH, bottleneck=128)
    # The mean shows what fills the picture; the maximum also shows what is in one corner, on white.
    mean = layers.GlobalAveragePooling2D(dtype="float32")(x)
    maximum = layers.GlobalMaxPooling2D(dtype="float32")(x)
    features = layers.Concatenate(dtype="float32")([mean, maximum])
    embedding = layers.Dense(DIM, dtype="float32", name="embedding")(features)
    embedding = layers.UnitNormalization(dtype="float32")(embedding)
    return keras.Model(pixels, [embedding, features])


def to_litert(network: Tensor) -> bytes:
    """Return a LiteRT file with float16 weights of a float32 model with one output."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())
