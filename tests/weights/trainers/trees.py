"""What each trainer leaves in a folder: our own inventions after the LoRA formats dossier, section 4."""

from __future__ import annotations

import json

from tests.weights.trainers.tree import Tree

_OT = "2026-01-02_03-04-05"

DIFFUSERS = Tree(
    "diffusers",
    {
        "README.md": "---\nbase_model: black-forest-labs/FLUX.1-dev\ninstance_prompt: a photo of tok\n"
        "widget:\n- text: tok in a lake\n  output:\n    url: image_0.png\n---\n# Tok\n",
        "checkpoint-500/pytorch_lora_weights.safetensors": "",
        "checkpoint-500/optimizer.bin": "",
        "checkpoint-500/scheduler.bin": "",
        "checkpoint-500/random_states_0.pkl": "",
        "image_0.png": "",
        "image_1.png": "",
        "logs/events": "",
        "pytorch_lora_weights.safetensors": "",
    },
    {
        "format": "pt",
        "lora_adapter_metadata": json.dumps(
            {
                "text_encoder.r": 4,
                "text_encoder.lora_alpha": 4,
                "transformer.r": 16,
                "transformer.lora_alpha": 8,
            }
        ),
    },
    "pytorch_lora_weights.safetensors",
    trigger="a photo of tok",
    bases=("black-forest-labs/FLUX.1-dev",),
    rank=(16, 8),
    samples=(("image_0.png", "tok in a lake"), ("image_1.png", None)),
    finished=True,
)

_AI_TOOLKIT_CONFIG = """job: extension
config:
  name: tok
  process:
  - type: sd_trainer
    trigger_word: tok
    network:
      type: lora
      linear: 32
      linear_alpha: 16
    datasets:
    - folder_path: /home/ann/pictures
      resolution:
      - 512
      - 1024
    - folder_path: /home/ann/more
      resolution: 768
    train:
      steps: 1000
    model:
      name_or_path: black-forest-labs/FLUX.1-dev
    sample:
      prompts:
      - '[trigger] in a boat'
      - a cat, not tok
meta:
  version: '1.0'
"""
AI_TOOLKIT = Tree(
    "ai-toolkit",
    {
        "config.yaml": _AI_TOOLKIT_CONFIG,
        "loss_log.db": "",
        "optimizer.pt": "",
        "samples/1700000000000__000000500_0.jpg": "",
        "samples/1700000000001__000000500_1.jpg": "",
        "samples/1700000000002__000001000_0.jpg": "",
        "samples/1700000000003__000001000_1.jpg": "",
        "tok.safetensors": "",
        "tok_000000500.safetensors": "",
    },
    {
        "format": "pt",
        "software": '{"name": "ai-toolkit", "repo": "x"}',
        "training_info": '{"step": 1000, "epoch": 12}',
        "ss_base_model_version": "flux.1",
        "ss_output_name": "tok",
        "ss_tag_frequency": '{"1_tok": {"tok": 1}}',
    },
    "tok.safetensors",
    trigger="tok",
    bases=("black-forest-labs/FLUX.1-dev", "flux.1"),
    rank=(32, 16),
    resolution="512, 768, 1024",
    steps=(1000, 1000),
    finished=True,
    samples=(
        ("samples/1700000000002__000001000_0.jpg", "tok in a boat"),
        ("samples/1700000000003__000001000_1.jpg", "a cat, not tok"),
    ),
)

KOHYA = Tree(
    "kohya",
    {
        "sample/tok_e000002_00_20260102030405.png": "",
        "sample/tok_e000004_00_20260102040405_42.png": "",
        "sample/tok_e000004_01_20260102040406_42.png": "",
        "tok-000002.safetensors": "",
        "tok-000002-state/model.safetensors": "",
        "tok.json": '{"activation text": "tok woman, red dress"}',
        "tok.safetensors": "",
    },
    {
        "ss_network_module": "networks.lora_flux",
        "ss_network_dim": "16",
        "ss_network_alpha": "8.0",
        "ss_base_model_version": "flux1",
        "ss_sd_model_name": "flux1-dev.safetensors",
        "ss_resolution": "(1024, 768)",
        "ss_steps": "2000",
        "ss_max_train_steps": "2000",
        "ss_epoch": "4",
        "ss_num_epochs": "4",
        "ss_vae_name": "None",
        "ss_dataset_dirs": '{"10_tok woman": {"n_repeats": 10, "img_count": 20}}',
        "modelspec.architecture": "flux-1-dev/lora",
        "modelspec.trigger_phrase": "None",
    },
    "tok.safetensors",
    trigger="tok woman",
    bases=("flux-1-dev", "flux1", "flux1-dev.safetensors"),
    rank=(16, 8),
    resolution="1024x768",
    steps=(2000, 2000),
    finished=True,
    samples=(
        ("sample/tok_e000004_00_20260102040405_42.png", None),
        ("sample/tok_e000004_01_20260102040406_42.png", None),
    ),
)

MUSUBI = Tree(
    "musubi-tuner",
    {"tok-step00000500.safetensors": "", "tok-step00001000.safetensors": "", "cache/a_wan.safetensors": ""},
    {
        "ss_network_module": "networks.lora_wan",
        "ss_base_model_version": "wan",
        "ss_network_dim": "32",
        "ss_network_alpha": "32",
        "ss_steps": "1000",
        "ss_max_train_steps": "1600",
    },
    "tok-step00001000.safetensors",
    bases=("wan",),
    rank=(32, 32),
    steps=(1000, 1600),
    finished=False,
)

SIMPLETUNER = Tree(
    "simpletuner",
    {
        "README.md": '---\nbase_model: "black-forest-labs/FLUX.1-dev"\n'
        "tags:\n  - flux\n  - simpletuner\n  - lora\nwidget:\n"
        "- text: 'unconditional (blank prompt)'\n  output:\n    url: ./assets/image_0_0.png\n"
        "- text: 'tok by the sea'\n  output:\n    url: ./assets/image_1_0.png\n---\n# run\n",
        "assets/image_0_0.png": "",
        "assets/image_1_0.png": "",
        "checkpoint-500/pytorch_lora_weights.safetensors": "",
        "checkpoint-500/training_state.json": '{"global_step": 500, "epoch": 3}',
        "checkpoint-500/ema/pytorch_lora_weights.safetensors": "",
        "pytorch_lora_weights.safetensors": "",
    },
    {
        "modelspec.architecture": "flux-1-dev/lora",
        "modelspec.resolution": "1024x1024",
        "global_step": "1000",
        "trained_words": "tok, sea",
        "ss_tag_frequency": '{"train": {"tok": 20, "sea": 12}}',
        "lora_adapter_metadata": '{"transformer.r": 16, "transformer.lora_alpha": 16}',
    },
    "pytorch_lora_weights.safetensors",
    trigger="tok",
    bases=("black-forest-labs/FLUX.1-dev", "flux-1-dev"),
    rank=(16, 16),
    resolution="1024",
    steps=(1000, None),
    finished=True,
    samples=(
        ("assets/image_0_0.png", "unconditional (blank prompt)"),
        ("assets/image_1_0.png", "tok by the sea"),
    ),
)

ONETRAINER = Tree(
    "onetrainer",
    {
        f"backup/{_OT}-backup-400-4-0/lora/lora.safetensors": "",
        f"save/{_OT}-save-400-4-0.safetensors": "",
        f"save/{_OT}-save-500-5-0.safetensors": "",
        f"samples/0 - tok at home/{_OT}-training-sample-500-5-0.jpg": "",
        f"samples/1 - a cat/{_OT}-training-sample-400-4-0.jpg": "",
        f"samples/1 - a cat/{_OT}-training-sample-500-5-0.jpg": "",
        "config/tok.json": json.dumps(
            {
                "training_method": "LORA",
                "workspace_dir": "run",
                "base_model_name": "black-forest-labs/FLUX.1-dev",
                "lora_rank": 16,
                "lora_alpha": 1.0,
                "resolution": "512,768",
                "epochs": 10,
            }
        ),
    },
    {"modelspec.architecture": "Flux.1/lora", "ot_branch": "master"},
    f"save/{_OT}-save-500-5-0.safetensors",
    bases=("black-forest-labs/FLUX.1-dev", "Flux.1"),
    rank=(16, 1),
    resolution="512, 768",
    steps=(500, None),
    finished=False,
    samples=(
        (f"samples/0 - tok at home/{_OT}-training-sample-500-5-0.jpg", "tok at home"),
        (f"samples/1 - a cat/{_OT}-training-sample-500-5-0.jpg", "a cat"),
    ),
)

REPLICATE = Tree(
    "replicate",
    {
        "output/flux_train_replicate/captions/a.txt": "a photo of TOK",
        "output/flux_train_replicate/config.yaml": _AI_TOOLKIT_CONFIG.replace("tok", "TOK"),
        "output/flux_train_replicate/lora.safetensors": "",
    },
    {"software": '{"name": "ai-toolkit"}', "training_info": '{"step": 1000, "epoch": 40}'},
    "output/flux_train_replicate/lora.safetensors",
    trigger="TOK",
    bases=("black-forest-labs/FLUX.1-dev",),
    rank=(32, 16),
    resolution="512, 768, 1024",
    steps=(1000, 1000),
    finished=True,
)

FAL = Tree(
    "fal",
    {
        "README.md": "---\ntags:\n- flux\n- fal\n"
        "base_model: black-forest-labs/FLUX.1-dev\ninstance_prompt: ''\n---\n",
        "config.json": json.dumps({"images_data_url": "x", "trigger_word": "tok", "steps": 1000}),
        "pytorch_lora_weights.safetensors": "",
    },
    {},
    "pytorch_lora_weights.safetensors",
    trigger="tok",
    bases=("black-forest-labs/FLUX.1-dev",),
)

LIGHTRICKS = Tree(
    "lightricks",
    {
        "checkpoints/lora_weights_step_01000.safetensors": "",
        "checkpoints/lora_weights_step_02000.safetensors": "",
        "samples/step_01000_1.mp4": "",
        "samples/step_02000_1.mp4": "",
        "samples/step_02000_2.mp4": "",
        "training_config.yaml": "model:\n  model_source: LTXV_2B_0.9.6\n  training_mode: lora\n"
        "lora:\n  rank: 64\n  alpha: 32\n"
        "optimization:\n  steps: 2000\nvalidation:\n  prompts:\n  - a lake\n  - a boat\n",
    },
    {},
    "checkpoints/lora_weights_step_02000.safetensors",
    bases=("LTXV_2B_0.9.6",),
    rank=(64, 32),
    steps=(2000, 2000),
    finished=True,
    samples=(("samples/step_02000_1.mp4", "a lake"), ("samples/step_02000_2.mp4", "a boat")),
)

PEFT = Tree(
    "peft",
    {
        "adapter_config.json": '{"peft_type": "LORA", "r": 8, "lora_alpha": 16, '
        '"base_model_name_or_path": "Qwen/Qwen3-8B"}',
        "adapter_model.safetensors": "",
        "checkpoint-10/adapter_model.safetensors": "",
        "checkpoint-10/trainer_state.json": '{"epoch": 1.0, "global_step": 10, "max_steps": 20}',
        "tokenizer.json": "{}",
    },
    {"format": "pt"},
    "adapter_model.safetensors",
    bases=("Qwen/Qwen3-8B",),
    rank=(8, 16),
    finished=True,
)

UNSLOTH = Tree(
    "unsloth",
    {
        "adapter_config.json": '{"peft_type": "LORA", "r": 16, '
        '"base_model_name_or_path": "unsloth/llama-3-8b-bnb-4bit"}',
        "adapter_model.safetensors": "",
    },
    {"format": "pt"},
    "adapter_model.safetensors",
    bases=("unsloth/llama-3-8b-bnb-4bit",),
    rank=(16, None),
)

AXOLOTL = Tree(
    "axolotl",
    {
        "README.md": "---\nlibrary_name: peft\nbase_model: mistralai/Mistral-7B-v0.3\ntags:\n- axolotl\n---\n"
        "axolotl version: `0.8.0`\n",
        "checkpoint-20/adapter_config.json": '{"peft_type": "LORA", "r": 32, "lora_alpha": 64}',
        "checkpoint-20/adapter_model.safetensors": "",
        "checkpoint-20/trainer_state.json": '{"epoch": 2.0, "global_step": 20, "log_history": ['
        + '{"loss": 1.0},' * 9000
        + '{}], "max_steps": 40}',
        "checkpoint-9/adapter_model.safetensors": "",
    },
    {"format": "pt"},
    "checkpoint-20/adapter_model.safetensors",
    bases=("mistralai/Mistral-7B-v0.3",),
    rank=(32, 64),
    steps=(20, None),
)

TREES = (
    DIFFUSERS,
    AI_TOOLKIT,
    KOHYA,
    MUSUBI,
    SIMPLETUNER,
    ONETRAINER,
    REPLICATE,
    FAL,
    LIGHTRICKS,
    PEFT,
    UNSLOTH,
    AXOLOTL,
)
