"""A pipeline that diffusers saved as a bench: a tiny Stable Diffusion with random weights, made here."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lorry.container.bench import Drawing, Use
from lorry.engine.renderers.pipelines import PipelineBench
from lorry.errors import AdapterUnusable, OptionInvalid

pytestmark = pytest.mark.reference


def _tokenizer(folder: Path) -> Any:
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a tiny pipeline."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    root = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = CLIPTextConfig(
            hidden_size=16, intermediate_size=32, num_attention_heads=2, num_hidden_layers=1, vocab_size=60,
            max_position_embeddings=16, projection_dim=16, bos_token_id=52, eos_token_id=53,
        )  # fmt: skip
        pipeline = StableDiffusionPipeline(
            vae=AutoencoderKL(
                block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
                up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4,
                sample_size=16,
            ),
            text_encoder=CLIPTextModel(text),
            tokenizer=_tokenizer(root / "words"),
            unet=UNet2DConditionModel(
                block_out_channels=(8, 16), layers_per_block=1, sample_size=8, norm_num_groups=4,
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=16,
                attention_head_dim=4,
            ),
            scheduler=DDIMScheduler(),
            safety_checker=None, feature_extractor=None, image_encoder=None, requires_safety_checker=False,
        )  # fmt: skip
        pipeline.save_pretrained(root / "base")
    return root / "base"


@pytest.fixture(scope="module")
def lora(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a LoRA for it that does something, as diffusers saves one."""
    import torch
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from peft import LoraConfig, get_peft_model_state_dict

    torch.manual_seed(1)
    unet = UNet2DConditionModel.from_pretrained(base / "unet")
    unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    folder = tmp_path_factory.mktemp("lora")
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=get_peft_model_state_dict(unet))
    return folder / "pytorch_lora_weights.safetensors"


def test_a_lora_acts_by_its_scale_and_only_where_it_is_used(base: Path, lora: Path) -> None:
    """Its layers are counted; with it another picture, at scale 0 and without it the base's own."""
    bench = PipelineBench("tiny/base", base)
    assert bench.load("d" * 64, lora) == bench.load("d" * 64, lora) > 0

    def drawn(*uses: Use) -> Any:
        return bench.draw([Drawing("a cat", 1, 16, 16, steps=2, uses=uses)])[0]

    plain, acting = drawn(), drawn(Use("d" * 64, 4.0))
    assert plain.shape == (16, 16, 3)
    assert plain.dtype == np.uint8
    assert not np.array_equal(plain, acting)
    assert np.array_equal(plain, drawn())
    assert np.array_equal(plain, drawn(Use("d" * 64, 0.0)))
    assert np.array_equal(acting, drawn(Use("d" * 64, 4.0)))
    bench.close()
    assert np.array_equal(plain, drawn())


def test_what_is_not_loaded_is_named(base: Path, tmp_path: Path) -> None:
    """A LoRA that was never loaded, and a file that is none, are told; the bench draws on."""
    bench = PipelineBench("tiny/base", base)
    with pytest.raises(AdapterUnusable, match="not loaded"):
        bench.draw([Drawing("a cat", 1, 16, 16, steps=1, uses=(Use("e" * 64),))])
    (tmp_path / "torn.safetensors").write_bytes(b"nothing")
    with pytest.raises(AdapterUnusable, match="torn"):
        bench.load("f" * 64, tmp_path / "torn.safetensors")
    assert len(bench.draw([Drawing("a cat", 1, 16, 16, steps=1)])) == 1


def test_a_folder_without_a_pipeline_is_refused(tmp_path: Path) -> None:
    """The sentence names the folder, and what has to be in it."""
    with pytest.raises(OptionInvalid, match="holds no pipeline"):
        PipelineBench("tiny/base", tmp_path)
