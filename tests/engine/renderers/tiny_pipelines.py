"""Pipelines of every family with random weights, as small as their classes allow, and LoRAs for them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: The families, and the layers that a LoRA of theirs usually has.
FAMILIES = {
    "flux": ["to_q", "to_k", "to_v", "to_out.0", "proj_mlp", "proj_out", "norm.linear"],
    "flux2": ["to_q", "to_v", "to_qkv_mlp_proj", "to_out.0"],
    "sdxl": ["to_q", "to_v", "ff.net.0.proj", "conv1"],
    "qwen": ["to_q", "to_v", "add_q_proj", "img_mlp.net.2"],
    "zimage": ["to_q", "to_v", "feed_forward.w1"],
}


def save(family: str, folder: Path) -> Path:
    """Save a tiny pipeline."""
    import torch

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        {"flux": _flux, "flux2": _flux2, "sdxl": _sdxl, "qwen": _qwen, "zimage": _zimage}[
            family
        ]().save_pretrained(folder)
    return folder


def save_lora(
    pipeline: Any, folder: Path, targets: Sequence[str], *, seed: int, rank: int = 4, alpha: int = 8
) -> Path:
    """Save a LoRA that acts, as diffusers saves one."""
    import torch
    from peft import LoraConfig, get_peft_model_state_dict

    torch.manual_seed(seed)
    part = "unet" if hasattr(pipeline, "unet") else "transformer"
    model = getattr(pipeline, part)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(targets), init_lora_weights=False)
    model.add_adapter(config, "made")
    state = get_peft_model_state_dict(model, adapter_name="made")
    settings = {f"{part}_lora_layers": state, f"{part}_lora_adapter_metadata": config.to_dict()}
    settings[f"{part}_lora_adapter_metadata"]["target_modules"] = list(targets)
    type(pipeline).save_lora_weights(folder, **settings)
    model.delete_adapters("made")
    return folder / "pytorch_lora_weights.safetensors"


def _words(length: int = 16) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = ["<pad>", "</s>", "<unk>", "<s>", *map(chr, range(97, 123)), "cat", "dog", "red"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(known)}, unk_token="<unk>"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    found = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", bos_token="<s>",  # noqa: S106
        model_max_length=length,
    )  # fmt: skip
    content = "messages[0]['content']"
    found.chat_template = f"{{{{ {content} if {content} is string else {content}[0]['text'] }}}}"
    return found


def _clip(*, projecting: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        hidden_size=16, intermediate_size=32, num_attention_heads=2, num_hidden_layers=2, vocab_size=64,
        max_position_embeddings=16, projection_dim=16, bos_token_id=3, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    return (CLIPTextModelWithProjection if projecting else CLIPTextModel)(config)


def _qwen3(*, causal: bool = False, layers: int = 2) -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3Model

    config = Qwen3Config(
        hidden_size=16, intermediate_size=32, num_hidden_layers=layers, num_attention_heads=2,
        num_key_value_heads=2, head_dim=8, vocab_size=64,
    )  # fmt: skip
    return (Qwen3ForCausalLM if causal else Qwen3Model)(config)


def _vae(name: str = "AutoencoderKL", **more: Any) -> Any:
    import diffusers

    return getattr(diffusers, name)(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4,
        sample_size=32, **more,
    )  # fmt: skip


def _flow(**more: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**more)


def _flux() -> Any:
    from diffusers import FluxPipeline, FluxTransformer2DModel
    from transformers import T5Config, T5EncoderModel

    return FluxPipeline(
        scheduler=_flow(),
        vae=_vae(use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.1, scaling_factor=0.5),
        text_encoder=_clip(),
        tokenizer=_words(),
        text_encoder_2=T5EncoderModel(
            T5Config(d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, vocab_size=64)
        ),
        tokenizer_2=_words(),
        transformer=FluxTransformer2DModel(
            in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
            joint_attention_dim=16, pooled_projection_dim=16, guidance_embeds=True, axes_dims_rope=(4, 6, 6),
        ),
    )  # fmt: skip


def _flux2() -> Any:
    from diffusers import Flux2KleinPipeline, Flux2Transformer2DModel

    return Flux2KleinPipeline(
        scheduler=_flow(),
        vae=_vae("AutoencoderKLFlux2"),
        text_encoder=_qwen3(causal=True, layers=28),  # the pipeline reads its layers 9, 18 and 27
        tokenizer=_words(512),
        transformer=Flux2Transformer2DModel(
            in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
            joint_attention_dim=48, timestep_guidance_channels=16, axes_dims_rope=(4, 4, 4, 4),
        ),
    )  # fmt: skip


def _sdxl() -> Any:
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel

    return StableDiffusionXLPipeline(
        vae=_vae(),
        text_encoder=_clip(),
        text_encoder_2=_clip(projecting=True),
        tokenizer=_words(),
        tokenizer_2=_words(),
        unet=UNet2DConditionModel(
            block_out_channels=(8, 16), layers_per_block=1, sample_size=16, norm_num_groups=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=32, attention_head_dim=4,
            addition_embed_type="text_time", addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=64, use_linear_projection=True,
            transformer_layers_per_block=(1, 1),
        ),
        scheduler=EulerDiscreteScheduler(),
        add_watermarker=False,
    )  # fmt: skip


def _qwen() -> Any:
    from diffusers import AutoencoderKLQwenImage, QwenImagePipeline, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "num_key_value_heads": 2, "vocab_size": 64, "max_position_embeddings": 4096,
            "bos_token_id": 3, "eos_token_id": 1,
            "rope_scaling": {"type": "default", "rope_type": "default", "mrope_section": [1, 1, 2]},
        },
        vision_config={
            "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16,
        },
        vision_start_token_id=1, vision_end_token_id=2, vision_token_id=3, image_token_id=4, video_token_id=5,
    )  # fmt: skip
    return QwenImagePipeline(
        scheduler=_flow(use_dynamic_shifting=True),
        vae=AutoencoderKLQwenImage(
            base_dim=8, z_dim=4, dim_mult=[1, 2, 2, 2], num_res_blocks=1,
            temperal_downsample=[False, True, True], latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
        ),
        text_encoder=Qwen2_5_VLForConditionalGeneration(text),
        tokenizer=_words(1024),
        transformer=QwenImageTransformer2DModel(
            patch_size=2, in_channels=16, out_channels=4, num_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=16, axes_dims_rope=(4, 6, 6),
        ),
    )  # fmt: skip


def _zimage() -> Any:
    from diffusers import ZImagePipeline, ZImageTransformer2DModel

    return ZImagePipeline(
        scheduler=_flow(),
        vae=_vae(use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.1, scaling_factor=0.5),
        text_encoder=_qwen3(),
        tokenizer=_words(512),
        transformer=ZImageTransformer2DModel(
            all_patch_size=(2,), all_f_patch_size=(1,), in_channels=4, dim=32, n_layers=1, n_refiner_layers=1,
            n_heads=2, n_kv_heads=2, cap_feat_dim=16, axes_dims=[8, 4, 4], axes_lens=[256, 32, 32],
        ),
    )  # fmt: skip
