"""The table of embedders. To offer another network of `keras.applications`, add a row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pokesim.errors import UsageError, did_you_mean

AUTO = "auto"
"""The default when an index is built: `PREFERRED` if its weights are available, else `BUNDLED`."""

PREFERRED = "resnet50"
"""What `AUTO` chooses where its weights are on this machine or can be downloaded."""

BUNDLED = "compact"
"""The embedder whose model ships in this package, so that it needs no download."""


class Runtime(StrEnum):
    """The software that runs a model; see `runtimes`."""

    LITERT = "litert"
    OPENVINO = "openvino"
    KERAS = "keras"


class Precision(StrEnum):
    """The number format that a model computes in; its vectors are float32 in either case."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, slots=True)
class Compute:
    """The runtime that runs a model, and its precision."""

    runtime: Runtime = Runtime.LITERT
    precision: Precision = Precision.FLOAT32

    @staticmethod
    def named(runtime: str, precision: str) -> Compute:
        """Return the runtime and precision with these names.

        Raises:
            UsageError: no such runtime or precision, or the runtime does not have the precision.
        """
        if runtime not in list(Runtime):
            raise UsageError(f"There is no runtime {runtime}; choose one of {', '.join(Runtime)}.")
        if precision not in list(Precision):
            known = ", ".join(Precision)
            raise UsageError(f"There is no precision {precision}; choose one of {known}.")
        if precision != Precision.FLOAT32 and runtime != Runtime.OPENVINO:
            raise UsageError(
                f"{runtime} computes in float32; {precision} needs --runtime openvino."
            )
        return Compute(Runtime(runtime), Precision(precision))


LITERT = Compute()
"""The default: LiteRT in float32."""


_KERAS_FILES = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True, slots=True)
class KerasSource:
    """Where Keras keeps a network, and where its ImageNet weights are published.

    Attributes:
        module: the module of ``keras.applications`` with its class and ``preprocess_input``.
        class_name: its constructor.
        classifier: keep the classifier (softmax probabilities) instead of average pooling.
        weights_url: address of the published weights.
        weights_hash: their MD5 or SHA-256 from Keras' source; "" where Keras gives none.
    """

    module: str
    class_name: str
    weights_url: str
    weights_hash: str
    classifier: bool = False

    @property
    def weights_file(self) -> str:
        """File name of the weights in Keras' cache."""
        return self.weights_url.rsplit("/", 1)[1]


@dataclass(frozen=True, slots=True)
class EmbedderSpec:
    """One row of the catalogue: input, output and licence of an embedder.

    Attributes:
        name: as in ``--embedder``.
        side: width and height of its input, in pixels.
        dimension: length of the vector.
        licence: licence of the weights.
        about: a short description for the list of embedders.
        keras: its source in Keras; None for the model that ships in this package.
        shift: offset, in cells and towards the lower right, of the region that a position of the
            last feature map sees from the cell with the same row and column. ResNet50's strided
            convolutions are 1 × 1 and read the first of every two pixels, so its positions see
            half a cell further up and to the left.
    """

    name: str
    side: int
    dimension: int
    licence: str
    about: str
    keras: KerasSource | None
    shift: float = 0.0


CATALOG: dict[str, EmbedderSpec] = {
    spec.name: spec
    for spec in (
        EmbedderSpec(
            BUNDLED, 128, 256, "Apache-2.0", "ships with pokesim; small, fast, offline", None
        ),
        EmbedderSpec(
            "resnet50",
            224,
            2048,
            "MIT",
            "the classic: ResNet50, average-pooled",
            KerasSource(
                "resnet",
                "ResNet50",
                f"{_KERAS_FILES}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
                "4d473c1dd8becc155b73f8504c6f6626",
            ),
            shift=-0.5,
        ),
        EmbedderSpec(
            "resnet50-softmax",
            224,
            1000,
            "MIT",
            "ResNet50's class probabilities; much worse, for comparison",
            KerasSource(
                "resnet",
                "ResNet50",
                f"{_KERAS_FILES}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels.h5",
                "2cb95161c43110f7111970584f804107",
                classifier=True,
            ),
        ),
        EmbedderSpec(
            "mobilenet_v2",
            224,
            1280,
            "Apache-2.0",
            "small and fast",
            KerasSource(
                "mobilenet_v2",
                "MobileNetV2",
                f"{_KERAS_FILES}/mobilenet_v2/"
                "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
                "",
            ),
        ),
        EmbedderSpec(
            "efficientnet_v2_b0",
            224,
            1280,
            "Apache-2.0",
            "good for its size",
            KerasSource(
                "efficientnet_v2",
                "EfficientNetV2B0",
                f"{_KERAS_FILES}/efficientnet_v2/efficientnetv2-b0_notop.h5",
                "893217f2bb855e2983157299931e43ff",
            ),
        ),
        EmbedderSpec(
            "convnext_tiny",
            224,
            768,
            "Apache-2.0",
            "most accurate on ImageNet, and the slowest",
            KerasSource(
                "convnext",
                "ConvNeXtTiny",
                f"{_KERAS_FILES}/convnext/convnext_tiny_notop.h5",
                "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
            ),
        ),
    )
}


def spec_of(name: str) -> EmbedderSpec:
    """Return the catalogue's row for an embedder.

    Raises:
        UsageError: no embedder has this name; the message suggests the closest one.
    """
    if name in CATALOG:
        return CATALOG[name]
    hint = did_you_mean(name, [*CATALOG, AUTO]) or " `pokesim embedders` lists them."
    raise UsageError(f"There is no embedder named {name}.{hint}")
