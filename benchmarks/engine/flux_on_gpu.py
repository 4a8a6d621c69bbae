"""FLUX.1-dev's real configuration with random weights on a GPU: many LoRAs, against diffusers.

    python benchmarks/engine/flux_on_gpu.py            # 12 B parameters in bfloat16; some 80 GB of GPU memory
    python benchmarks/engine/flux_on_gpu.py --tiny     # the same program on a processor, to try it

It prints seconds for each picture of 1024 px and 28 steps with 1, 8 and 64 different LoRAs of rank 16, drawn
by the engine in mixed batches of eight, and by diffusers one after the other with `set_adapters`, fused, and
with hotswap and compiled blocks; how long an adapter takes from the host's memory, against a plain copy of as
many bytes; and what share of the GPU's arithmetic is used (model FLOPs, from the transformer's own matrices).
Words are encoded by stand-ins of the right width: their encoders draw nothing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from peft import LoraConfig, get_peft_model_state_dict
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast, T5Config, T5EncoderModel

from lorry.engine.renderers.pipeline_opening import Base
from lorry.engine.renderers.pipelines import PipelineRenderer
from lorry.engine.renderers.port import AdapterUse, RenderRequest

#: FLUX.1-dev's transformer (black-forest-labs/FLUX.1-dev, transformer/config.json); tokens of the words.
FLUX = {"num_layers": 19, "num_single_layers": 38, "num_attention_heads": 24, "attention_head_dim": 128}
WORDS = 512

TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"]
RANK, BATCH = 16, 8

#: Dense bfloat16 arithmetic of an H200 (NVIDIA's data sheet, without sparsity), FLOP/s.
H200 = 989e12


@dataclass(frozen=True)
class Size:
    """What is drawn, and how large the base is."""

    edge: int
    steps: int
    transformer: dict[str, Any]
    adapters: tuple[int, ...]
    vae: tuple[int, ...]


REAL = Size(
    1024,
    28,
    {**FLUX, "joint_attention_dim": 4096, "pooled_projection_dim": 768},
    (1, 8, 64),
    (128, 256, 512, 512),
)
TINY = Size(
    64,
    2,
    {
        "num_layers": 1,
        "num_single_layers": 1,
        "num_attention_heads": 2,
        "attention_head_dim": 128,
        "joint_attention_dim": 64,
        "pooled_projection_dim": 64,
    },
    (1, 8),
    (32,) * 4,
)


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tiny", action="store_true")
    size = TINY if parser.parse_args().tiny else REAL
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        pipeline(size).save_pretrained(root / "base")
        renderer = PipelineRenderer(Base("random/FLUX.1-dev", root / "base"))
        loras = save_loras(renderer, root, max(size.adapters))
        loads(renderer, loras[0])
        for number, lora in enumerate(loras):
            renderer.load(f"a{number}", lora)
        plain = ours(renderer, size, [None] * BATCH)
        print(
            "| pictures, each with another LoRA | seconds a picture | of the batch without |\n|---|---|---|"
        )
        print(f"| {BATCH} in one batch, none | {plain / BATCH:.3f} | 1.00 |")
        for count in size.adapters:
            took = ours(renderer, size, [f"a{number}" for number in range(count)]) / count
            print(f"| {count}, the engine | {took:.3f} | {took * BATCH / plain:.2f} |", flush=True)
        peers = {"set_adapters": one_by_one, "fused before each": fused, "hotswap, compiled": hotswapped}
        for label, take in peers.items():
            pipe = FluxPipeline.from_pretrained(root / "base", torch_dtype=renderer._dtype).to(
                renderer._device
            )
            pipe.set_progress_bar_config(disable=True)
            took = take(pipe, size, loras[: size.adapters[1]]) / size.adapters[1]
            print(
                f"| {size.adapters[1]}, diffusers, {label} | {took:.3f} | {took * BATCH / plain:.2f} |",
                flush=True,
            )
            del pipe
        use(renderer, size, plain / BATCH)


def pipeline(size: Size) -> FluxPipeline:
    """Make the pipeline, with random weights in bfloat16 on a GPU."""
    dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return assembled(size)
    finally:
        torch.set_default_dtype(before)


def assembled(size: Size) -> FluxPipeline:
    """Put it together."""
    wide, pooled = size.transformer["joint_attention_dim"], size.transformer["pooled_projection_dim"]
    clip = CLIPTextConfig(
        hidden_size=pooled, intermediate_size=64, num_attention_heads=2, num_hidden_layers=1, vocab_size=64,
        max_position_embeddings=77, bos_token_id=3, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKL(
            block_out_channels=size.vae, down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=16, use_quant_conv=False,
            use_post_quant_conv=False, shift_factor=0.1159, scaling_factor=0.3611,
        ),
        text_encoder=CLIPTextModel(clip),
        tokenizer=words(77),
        text_encoder_2=T5EncoderModel(
            T5Config(d_model=wide, d_kv=8, d_ff=64, num_layers=1, num_heads=2, vocab_size=64)
        ),
        tokenizer_2=words(WORDS),
        transformer=FluxTransformer2DModel(in_channels=64, guidance_embeds=True, **size.transformer),
    )  # fmt: skip


def words(length: int) -> PreTrainedTokenizerFast:
    """Make a tokenizer of letters."""
    known = ["<pad>", "</s>", "<unk>", "<s>", *map(chr, range(97, 123))]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(known)}, unk_token="<unk>"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", bos_token="<s>",  # noqa: S106
        model_max_length=length,
    )  # fmt: skip


def save_loras(renderer: PipelineRenderer, root: Path, count: int) -> list[Path]:
    """Save random LoRAs of attention's layers."""
    transformer = renderer._pipeline.transformer
    found = []
    for number in range(count):
        config = LoraConfig(r=RANK, target_modules=TARGETS, init_lora_weights=False)
        transformer.add_adapter(config, "made")
        state = get_peft_model_state_dict(transformer, adapter_name="made")
        folder = root / f"lora{number}"
        FluxPipeline.save_lora_weights(folder, {name: part * 0.1 for name, part in state.items()})
        transformer.delete_adapters("made")
        found.append(folder / "pytorch_lora_weights.safetensors")
    return found


def loads(renderer: PipelineRenderer, lora: Path) -> None:
    """Say how long an adapter takes from the host's memory, against a plain copy of as many bytes."""
    read = renderer.read(lora)
    size = renderer.place("warm", read)
    took = timed(lambda: renderer.place("warm", read))
    device = renderer._pipeline.transformer.device
    block = torch.empty(size, dtype=torch.uint8, pin_memory=device.type == "cuda")
    copied = timed(lambda: block.to(device, non_blocking=True, copy=True))
    print(f"An adapter of {size / 1e6:.0f} MB from the host's memory: {took * 1000:.1f} ms.")
    print(
        f"A plain copy of as many bytes: {copied * 1000:.1f} ms; {copied / took:.0%} of its pace.\n",
        flush=True,
    )


def ours(renderer: PipelineRenderer, size: Size, keys: Sequence[str | None]) -> float:
    """Draw one picture for each key; seconds of the better of two rounds."""
    requests = [
        RenderRequest(
            "a b c", seed, size.steps, 3.5, adapters=(AdapterUse(key),) if key else (), width=size.edge,
            height=size.edge,
        )
        for seed, key in enumerate(keys)
    ]  # fmt: skip
    renderer.render(requests[:BATCH])
    return min(timed(lambda: renderer.render(requests)) for _ in range(2))


def one_by_one(pipe: FluxPipeline, size: Size, loras: Sequence[Path]) -> float:
    """Draw with diffusers, all adapters loaded, switched by `set_adapters`."""
    for number, lora in enumerate(loras):
        pipe.load_lora_weights(lora.parent, weight_name=lora.name, adapter_name=f"d{number}")

    def work() -> None:
        for number in range(len(loras)):
            pipe.set_adapters([f"d{number}"])
            drawn(pipe, size)

    work()
    took = timed(work)
    pipe.unload_lora_weights()
    return took


def fused(pipe: FluxPipeline, size: Size, loras: Sequence[Path]) -> float:
    """Draw with diffusers, each adapter loaded, fused, and taken out again."""

    def work() -> None:
        for lora in loras:
            pipe.load_lora_weights(lora.parent, weight_name=lora.name, adapter_name="f")
            pipe.fuse_lora(adapter_names=["f"])
            drawn(pipe, size)
            pipe.unfuse_lora()
            pipe.unload_lora_weights()

    return timed(work)


def hotswapped(pipe: FluxPipeline, size: Size, loras: Sequence[Path]) -> float:
    """Draw with diffusers' compiled blocks, each adapter's numbers written over those of the last."""
    pipe.enable_lora_hotswap(target_rank=RANK)
    pipe.load_lora_weights(loras[0].parent, weight_name=loras[0].name, adapter_name="h")
    pipe.transformer.compile_repeated_blocks()

    def work() -> None:
        for lora in loras:
            pipe.load_lora_weights(lora.parent, weight_name=lora.name, adapter_name="h", hotswap=True)
            drawn(pipe, size)

    work()
    return timed(work)


def drawn(pipe: FluxPipeline, size: Size) -> None:
    """Draw one picture with diffusers."""
    pipe("a b c", height=size.edge, width=size.edge, num_inference_steps=size.steps, guidance_scale=3.5)


def use(renderer: PipelineRenderer, size: Size, seconds: float) -> None:
    """Say how many tokens a second go through the transformer, and what share of the GPU that uses."""
    tokens = (size.edge // 16) ** 2 + WORDS
    matrices = sum(each.numel() for each in renderer._pipeline.transformer.parameters() if each.ndim == 2)
    width = size.transformer["num_attention_heads"] * size.transformer["attention_head_dim"]
    blocks = size.transformer["num_layers"] + size.transformer["num_single_layers"]
    flops = 2 * matrices * tokens + 4 * tokens**2 * width * blocks
    pace = size.steps / seconds
    print(f"\n{tokens * pace:,.0f} tokens a second; {flops * pace / H200:.0%} of an H200's arithmetic.")


def timed(work: Callable[[], object]) -> float:
    """Time something, to the end of what the GPU was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
