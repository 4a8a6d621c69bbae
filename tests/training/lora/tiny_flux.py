"""A base of FLUX.1's kind that is small enough for a test: the real classes, random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WORDS = (
    *("<pad>", "<unk>", "</s>", "a", "photo", "of", "person", "portrait", "woman", "man", "tok", "mirrored"),
    *("on", "green", "background", "dog", "cat"),
)


def tiny_flux(folder: Path) -> Path:
    """Write one in diffusers' layout; gives its folder."""
    import torch
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
    from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

    torch.manual_seed(0)
    words = {"vocab_size": len(WORDS), "pad_token_id": 0, "eos_token_id": 2}
    clip = CLIPTextConfig(
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=1,
        num_attention_heads=2,
        projection_dim=32,
        bos_token_id=1,
        max_position_embeddings=77,
        **words,
    )
    t5 = T5Config(d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=2, **words)
    pipeline = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKL(
            block_out_channels=(4,),
            in_channels=3,
            out_channels=3,
            down_block_types=("DownEncoderBlock2D",),
            up_block_types=("UpDecoderBlock2D",),
            latent_channels=1,
            norm_num_groups=1,
            use_quant_conv=False,
            use_post_quant_conv=False,
            shift_factor=0.0609,
            scaling_factor=1.5035,
        ),
        text_encoder=CLIPTextModel(clip),
        tokenizer=_tokenizer(77),
        text_encoder_2=T5EncoderModel(t5),
        tokenizer_2=_tokenizer(256),
        transformer=FluxTransformer2DModel(
            patch_size=1,
            in_channels=4,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=True,
        ),
    )
    pipeline.save_pretrained(folder)
    return folder


def _tokenizer(length: int) -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Lowercase
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    pad, unknown, end = WORDS[:3]
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token=unknown))
    tokenizer.normalizer, tokenizer.pre_tokenizer = Lowercase(), Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=length,
        pad_token=pad,
        unk_token=unknown,
        eos_token=end,
    )
