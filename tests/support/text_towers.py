"""Parts for text beside the networks of `networks`, in the layouts of CLIP's and SigLIP's.

`write_both` writes a folder with both parts and a trained tokenizer; `text_vectors` computes in
NumPy, from the same weights, what the part for text returns, with tokens as `transformers` makes
them.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from support.networks import (
    OUT,
    WIDTH,
    Graph,
    Weights,
    encoded,
    encoder,
    layers_of,
    write_published,
)

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTHS = {"clip": 77, "siglip": 64}
TOKENIZER_CONFIGS = {
    "clip": {"model_max_length": 77, "pad_token": END, "tokenizer_class": "CLIPTokenizer"},
    "siglip": {"model_max_length": 10**30, "pad_token": {"content": "<pad>", "lstrip": False}},
}
TEXT_CONFIGS = {
    "clip": {"max_position_embeddings": 77, "pad_token_id": 1, "eos_token_id": 2},
    "siglip": {"model_type": "siglip_text_model", "pad_token_id": 1},
}
CORPUS = """two parrots on a branch a golden retriever runs at night on the beach
a red apple and a green pear lie on the table beside a cup of coffee
the old bridge over the river in the morning fog children play football
"""


def tokenizer_of(kind: str) -> Tokenizer:
    """Return a tokenizer of the kind that CLIP (BPE of bytes) or SigLIP (Unigram) has."""
    lines = CORPUS.splitlines() * 3
    if kind == "clip":
        made = Tokenizer(models.BPE(unk_token=END, end_of_word_suffix="</w>"))
        made.normalizer = normalizers.Sequence(
            [
                normalizers.NFC(),
                normalizers.Replace(Regex(r"\s+"), " "),
                normalizers.Lowercase(),
            ]
        )
        words = Regex(r"'s|'t|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(words, behavior="removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=600,
            initial_alphabet=alphabet,
            end_of_word_suffix="</w>",
            show_progress=False,
        )
        made.train_from_iterator(lines, trainer)
        trained = json.loads(made.to_str())["model"]
        ends = [f"{byte}</w>" for byte in sorted(alphabet)]
        # The special tokens are the last, so that the highest id ends a text.
        vocab = dict.fromkeys([*trained["vocab"], *ends, START, END])
        made.model = models.BPE(
            {token: at for at, token in enumerate(vocab)},
            [tuple(pair) for pair in trained["merges"]],
            unk_token=END,
            end_of_word_suffix="</w>",
        )
        made.add_special_tokens([START, END])
        ids = [(token, made.token_to_id(token)) for token in (END, START)]
        made.post_processor = processors.RobertaProcessing(*ids, False, False)
        return made
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    made.train_from_iterator(
        lines,
        trainers.UnigramTrainer(
            vocab_size=120, special_tokens=special, unk_token="<unk>", show_progress=False
        ),
    )
    made.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    return made


def write_both(folder: Path, kind: str, seed: int = 0) -> Weights:
    """Write a folder as hubs publish both parts of a network; return the weights of that for text.

    Args:
        folder: does not exist yet.
        kind: clip or siglip.
        seed: of the weights.
    """
    write_published(folder, kind, seed)
    made = tokenizer_of(kind)
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIGS[kind]))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "text_config": TEXT_CONFIGS[kind]}))
    random = np.random.default_rng(seed + 1)

    def some(*shape: int) -> np.ndarray:
        return random.normal(0, 0.3, shape).astype(np.float32)

    weights = {
        "token": some(made.get_vocab_size(), WIDTH),
        "position": some(1, LENGTHS[kind], WIDTH),
        "out": some(WIDTH, OUT),
        **layers_of(some),
    }
    onnx.save(text_tower(kind, weights), folder / "onnx" / "text_model.onnx")
    return weights


def causal(length: int) -> np.ndarray:
    """Return what keeps a token from those after it, (length, length)."""
    return np.triu(np.full((length, length), -1e4, np.float32), 1)


def text_tower(kind: str, weights: Weights) -> onnx.ModelProto:
    """Return a part for text as an ONNX model, with the hub's names.

    CLIP's takes a mask, reads a token and those before it, and its vector is that of the highest
    id, which ends the text; SigLIP's is that of the last token, which may be one that fills.
    """
    g = Graph()
    w = {name: g.constant(values) for name, values in weights.items()}
    x = g("Add", g("Gather", w["token"], "input_ids"), w["position"])
    ids = {"input_ids": ["batch_size", "sequence_length"]}
    if kind == "clip":
        ids["attention_mask"] = ["batch_size", "sequence_length"]
        away = g("Cast", g("Sub", "attention_mask", g.constant(1, np.int64)), to=TensorProto.FLOAT)
        away = g("Mul", g("Unsqueeze", away, g.constant([1, 2], np.int64)), g.constant(1e4))
        x = encoder(g, w, x, g("Add", away, g.constant(causal(LENGTHS[kind]))))
        end = g("ArgMax", "input_ids", axis=1, keepdims=0)
        hot = g("OneHot", end, g.constant(77, np.int64), g.constant([0, 1]))
        x = g("ReduceSum", g("Mul", x, g("Unsqueeze", hot, one(g, 2))), one(g, 1), keepdims=0)
        return g.model(
            ids, {"text_embeds": (g("MatMul", x, w["out"]), ["batch_size", OUT])}, TensorProto.INT64
        )
    x = encoder(g, w, x)
    last = g("Gather", x, g.constant(-1, np.int64), axis=1)
    return g.model(
        ids,
        {
            "last_hidden_state": (x, ["batch_size", "sequence_length", WIDTH]),
            "pooler_output": (g("MatMul", last, w["out"]), ["batch_size", OUT]),
        },
        TensorProto.INT64,
    )


def one(g: Graph, axis: int) -> str:
    """Return the constant that names an axis."""
    return g.constant([axis], np.int64)


def text_vectors(folder: Path, kind: str, weights: Weights, texts: list[str]) -> np.ndarray:
    """Return the vectors of texts, float64 (n, OUT)."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token={"clip": END}.get(kind, "<pad>")
    )
    texts = texts if kind == "clip" else [text.lower() for text in texts]
    found = tokenizer(
        texts, padding="max_length", max_length=LENGTHS[kind], truncation=True, return_tensors="np"
    )
    ids, mask = found["input_ids"], found["attention_mask"]
    w = {name: values.astype(np.float64) for name, values in weights.items()}
    x = w["token"][ids] + w["position"]
    if kind == "siglip":
        return encoded(w, x)[:, -1] @ w["out"]
    x = encoded(w, x, causal(77)[None, None] - 1e4 * (1 - mask[:, None, None]))
    return x[np.arange(len(x)), ids.argmax(1)] @ w["out"]
