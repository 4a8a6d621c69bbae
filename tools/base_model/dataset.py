"""Compose training batches: glyphs, tints, backgrounds and pairs, with their caption embeddings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from captions import COLOURS, SHARES, Caption, write_captions
from glyphs import SIZE, read_concepts, render_all

from lorry.engine.renderers.text import TextEncoder

Floats = npt.NDArray[np.float32]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)[:, None, None]  # ITU-R BT.601


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures float32 [n, 3, 64, 64] in -1..1, token states [n, 16, 384], pooled states [n, 384]."""

    pictures: Floats
    tokens: Floats
    pooled: Floats


class Composer:
    """Compose the picture that a caption describes."""

    def __init__(self, glyphs: npt.NDArray[np.uint8]) -> None:
        """Take the glyphs, uint8 [n, 4, 64, 64] premultiplied, in the order of the concepts."""
        self.glyphs = glyphs

    def compose(self, caption: Caption, rng: np.random.Generator | None = None) -> Floats:
        """Draw a caption's picture: float32 [3, 64, 64] in 0..1, jittered by up to 1 px with an rng."""
        layer = self.glyphs[caption.concept].astype(np.float32) / 255
        if caption.tint:
            layer = _tinted(layer, caption.tint)
        if caption.partner is not None:
            layer = _side_by_side(layer, self.glyphs[caption.partner].astype(np.float32) / 255)
        elif rng is not None:
            layer = np.roll(layer, tuple(rng.integers(-1, 2, 2)), (1, 2))
        paper = (
            np.array(COLOURS.get(caption.background or "", (255, 255, 255)), np.float32)[:, None, None] / 255
        )
        return np.clip(layer[:3] + paper * (1 - layer[3:]), 0, 1).astype(np.float32)


class Icons:
    """The training set: pictures composed on demand, captions embedded once and cached on disk."""

    def __init__(self, cache: Path, vocabulary: Path, seed: int = 0, fewer: Path | None = None) -> None:
        """Render the glyphs and embed the captions (about 70 s the first time).

        Args:
            cache: folder for the embeddings; keyed by the captions' digest.
            vocabulary: WordPiece list of the text encoder.
            seed: of the caption wording.
            fewer: a list of names that the starting weights already know; drawn half as often.
        """
        self.concepts = read_concepts()
        self.composer = Composer(render_all(self.concepts))
        self.captions = write_captions(self.concepts, seed)
        encoder = TextEncoder(vocabulary)
        self.tokens, self.pooled = _embeddings(cache, encoder, [caption.text for caption in self.captions])
        self._empty = encoder.encode("")
        known = set(fewer.read_text(encoding="utf-8").split("\n")) if fewer else set()
        weights = np.array([0.5 if concept.name in known else 1.0 for concept in self.concepts])
        self._chance = weights / weights.sum()
        self._by_kind: dict[tuple[int, str], list[int]] = {}
        for row, caption in enumerate(self.captions):
            self._by_kind.setdefault((caption.concept, caption.kind), []).append(row)

    def batch(self, rng: np.random.Generator, size: int, drop: float = 0.1) -> Batch:
        """Draw a batch.

        Args:
            rng: the only source of chance.
            size: pictures.
            drop: share of captions replaced by the empty one, for classifier-free guidance
                (Ho & Salimans 2022, arXiv:2207.12598).
        """
        kinds = rng.choice(list(SHARES), size, p=list(SHARES.values()))
        chosen = rng.choice(len(self.concepts), size, p=self._chance)
        rows = [int(rng.choice(self._by_kind[int(c), str(k)])) for c, k in zip(chosen, kinds, strict=True)]
        pictures = np.stack([self.composer.compose(self.captions[row], rng) for row in rows])
        tokens, pooled = self.tokens[rows].astype(np.float32), self.pooled[rows].astype(np.float32)
        dropped = rng.random(size) < drop
        tokens[dropped], pooled[dropped] = self._empty
        return Batch(pictures * 2 - 1, tokens, pooled)


def _tinted(layer: Floats, tint: str) -> Floats:
    """Recolour by brightness: shadows go to a dark tint, highlights to white."""
    alpha = layer[3:]
    luma = np.clip((layer[:3] * LUMA).sum(0, keepdims=True) / np.maximum(alpha, 0.02), 0, 1)
    colour = np.array(COLOURS[tint], np.float32)[:, None, None] / 255
    dark = colour * (0.35 + 0.65 * luma / 0.6)
    light = colour + (1 - colour) * (luma - 0.6) / 0.4 * 0.9
    return np.concatenate([np.where(luma < 0.6, dark, light) * alpha, alpha]).astype(np.float32)


def _side_by_side(left: Floats, right: Floats) -> Floats:
    """Put two layers next to each other at half size, on the 8 px grid of the model's tokens."""
    half, quarter = SIZE // 2, SIZE // 4
    layer = np.zeros_like(left)
    for column, source in enumerate((left, right)):
        small = source.reshape(4, half, 2, half, 2).mean((2, 4))
        layer[:, quarter : quarter + half, column * half : (column + 1) * half] = small
    return layer


def _embeddings(cache: Path, encoder: TextEncoder, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]
    token_file, pooled_file = cache / f"tokens-{digest}.npy", cache / f"pooled-{digest}.npy"
    if not pooled_file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        tokens, pooled = encoder.encode_all(texts)
        np.save(token_file, tokens.astype(np.float16))
        np.save(pooled_file, pooled.astype(np.float16))
    return np.load(token_file, mmap_mode="r"), np.load(pooled_file)
