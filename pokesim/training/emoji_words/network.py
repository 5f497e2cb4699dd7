"""The two parts: a linear map of a picture's vector, and the mean of a text's tokens, mapped.

Both are trained so that a picture and its name are nearer to each other than to the others of a
batch, as in CLIP (Radford et al. 2021).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from pokesim.training.compact.data import Array
from pokesim.training.emoji_words.signs import Sign
from pokesim.training.lda import unit

START, END = "<|startoftext|>", "<|endoftext|>"

LENGTH, WIDTH, OUT = 32, 256, 128

TOKENS = 1600

EPOCHS, BATCH, RATE = 150, 512, 2e-3

KEPT, NOISE = 0.8, 0.02  # words of a name; deviation that is added to vectors of length 1


@dataclass(frozen=True)
class Weights:
    """The trained parts.

    Attributes:
        tokenizer: text → ids of tokens.
        tokens: float32 (TOKENS, WIDTH).
        inner: float32 (WIDTH, WIDTH).
        text: float32 (WIDTH, OUT).
        picture: float32 (d, OUT).
    """

    tokenizer: Tokenizer
    tokens: Array
    inner: Array
    text: Array
    picture: Array

    def of_pictures(self, x: Array) -> Array:
        """Return the vectors, (n, OUT), of an embedder's vectors, (n, d)."""
        return unit(x @ self.picture)

    def of_texts(self, texts: Sequence[str]) -> Array:
        """Return the vectors, (n, OUT), of texts."""
        ids, mask = encoded(self.tokenizer, texts)
        mean = (self.tokens[ids] * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return unit((mean + np.maximum(mean @ self.inner, 0)) @ self.text)


def tokenizer_of(texts: Sequence[str]) -> Tokenizer:
    """Return a tokenizer that is trained on texts, in CLIP's manner: pairs of bytes."""
    made = Tokenizer(models.BPE(unk_token=END))
    made.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=TOKENS,
        special_tokens=[START, END],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    # The special tokens have the first ids, in this order.
    made.post_processor = processors.RobertaProcessing((END, 1), (START, 0), trim_offsets=False)
    return made


def encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[Array, Array]:
    """Return the ids and the mask of texts, int (n, LENGTH) and float32 (n, LENGTH)."""
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id(END), pad_token=END, length=LENGTH)
    found = tokenizer.encode_batch(list(texts))
    ids = np.array([one.ids for one in found])
    return ids, np.array([one.attention_mask for one in found], np.float32)


def trained(signs: Sequence[Sign], drawings: Array, seed: int = 0) -> Weights:
    """Train both parts.

    Args:
        signs: the signs, n.
        drawings: the vectors of their pictures in each hand that is trained with, (n, hands, d).
        seed: of all chances.
    """
    import tensorflow as tf

    random = np.random.default_rng(seed)
    tf.random.set_seed(seed)
    tokenizer = tokenizer_of([name for sign in signs for name in (sign.name, *sign.others)])
    shapes = (TOKENS, WIDTH), (WIDTH, WIDTH), (WIDTH, OUT), (drawings.shape[-1], OUT)
    scales = (0.05, 0.02, WIDTH**-0.5, drawings.shape[-1] ** -0.5)
    weights = [
        tf.Variable(random.normal(0, scale, shape).astype(np.float32))
        for shape, scale in zip(shapes, scales, strict=True)
    ]
    warmth = tf.Variable(np.float32(np.log(14)))
    steps = EPOCHS * (len(signs) // BATCH)
    optimizer = tf.keras.optimizers.AdamW(
        tf.keras.optimizers.schedules.CosineDecay(RATE, steps), weight_decay=0.02
    )

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(x: Array, ids: Array, mask: Array) -> None:
        with tf.GradientTape() as tape:
            tokens, inner, text, picture = weights
            mean = tf.reduce_sum(tf.gather(tokens, ids) * mask[..., None], 1)
            mean = tf.nn.dropout(mean / tf.reduce_sum(mask, 1, keepdims=True), 0.1)
            words = tf.math.l2_normalize((mean + tf.nn.relu(mean @ inner)) @ text, -1)
            seen = tf.math.l2_normalize(x @ picture, -1)
            scores = tf.exp(warmth) * seen @ tf.transpose(words)
            right = tf.range(tf.shape(scores)[0])
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                tf.concat([right, right], 0), tf.concat([scores, tf.transpose(scores)], 0)
            )
            loss = tf.reduce_mean(losses)
        variables = [*weights, warmth]
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        warmth.assign(tf.minimum(warmth, np.float32(np.log(100))))

    for _ in range(EPOCHS):
        order = random.permutation(len(signs))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            rows = order[start : start + BATCH]
            x = drawings[rows, random.integers(drawings.shape[1], size=BATCH)]
            x = x + random.normal(0, NOISE, x.shape).astype(np.float32)
            texts = [_said(signs[row], random) for row in rows]
            ids, mask = encoded(tokenizer, texts)
            step(x, ids, mask)
    return Weights(tokenizer, *(one.numpy() for one in weights))


def _said(sign: Sign, random: np.random.Generator) -> str:
    """Return one of a sign's names, sometimes without some of its words."""
    names = [sign.name, sign.name, *sign.others]
    words = names[random.integers(len(names))].split()
    kept = [word for word in words if random.random() < KEPT]
    return " ".join(kept if kept and random.random() < 0.5 else words)
