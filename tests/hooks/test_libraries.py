"""The hooks inside the real libraries: a few steps of training, and the model is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("diffusers")
pytest.importorskip("gguf")

import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

from lorry.engine.language.open import BASE, base_folder
from lorry.engine.renderers.base import base_model
from lorry.hooks import ship_trained
from lorry.hooks.callback import LorryCallback
from lorry.model.placement import PlacementState
from lorry.settings import Settings

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]


def test_a_diffusers_script_ends_with_one_line(settings: Settings, tmp_path: Path) -> None:
    """LoRA layers of peft in diffusers' transformer, a step, diffusers' own saving, and the line."""
    torch.manual_seed(0)
    base = base_model()
    model = FluxTransformer2DModel.from_pretrained(base.folder / "transformer", torch_dtype=torch.float32)
    model.requires_grad_(False)
    model.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=["to_q", "to_k", "to_v"]))
    weights = [each for each in model.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=1e-2)
    config = model.config
    tokens = 16
    for _ in range(2):
        answer = model(
            hidden_states=torch.randn(1, tokens, config.in_channels),
            encoder_hidden_states=torch.randn(1, 8, config.joint_attention_dim),
            pooled_projections=torch.randn(1, config.pooled_projection_dim),
            timestep=torch.tensor([0.5]),
            img_ids=torch.zeros(tokens, 3),
            txt_ids=torch.zeros(8, 3),
            return_dict=False,
        )[0]
        answer.square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    out = tmp_path / "my-style"
    layers = get_peft_model_state_dict(model, adapter_name="default")
    FluxPipeline.save_lora_weights(out, transformer_lora_layers=layers)

    placement = ship_trained(out, settings=settings)
    assert placement is not None
    assert (placement.model, placement.state) == ("my-style", PlacementState.READY)
    assert placement.proof is not None
    assert placement.proof.passed


class _Sentences:
    def __init__(self, tokenizer: Any) -> None:
        read = tokenizer("Copy that, driver. Over and out.")
        self._row = {**read, "labels": read["input_ids"]}

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._row


def _trainer(out: Path, request: pytest.FixtureRequest, callback: LorryCallback) -> Trainer:
    assert request.config.cache is not None
    folder = base_folder(Path(request.config.cache.mkdir("lorry-language")))
    torch.manual_seed(0)
    plain = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32)
    model = get_peft_model(plain, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    model.peft_config["default"].base_model_name_or_path = BASE
    arguments = TrainingArguments(
        output_dir=str(out),
        max_steps=2,
        per_device_train_batch_size=2,
        learning_rate=1e-2,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
    )
    data = _Sentences(AutoTokenizer.from_pretrained(folder))
    return Trainer(model=model, args=arguments, train_dataset=data, callbacks=[callback])


def test_the_callback_of_transformers_ships_what_was_trained(
    settings: Settings, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Trainer with an adapter of peft: saved at the end, and ready when `train` returns."""
    callback = LorryCallback("dispatcher", settings=settings)
    _trainer(tmp_path / "run", request, callback).train()
    assert callback.error is None
    assert callback.placement is not None
    assert (callback.placement.model, callback.placement.state) == ("dispatcher", PlacementState.READY)
    assert (tmp_path / "run" / "adapter_model.safetensors").is_file()


def test_a_delivery_that_fails_leaves_the_training_alone(
    tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """No engine runs: the training ends well, what was trained is there, and the log says what to do."""
    settings = Settings(tmp_path / "home", engine_url="http://127.0.0.1:1")
    callback = LorryCallback(settings=settings)
    _trainer(tmp_path / "run", request, callback).train()
    assert callback.error is not None
    assert callback.error.code == "engine_not_running"
    assert (tmp_path / "run" / "adapter_model.safetensors").is_file()
    assert "lorry ship" in caplog.text
