"""A model's card, as the Hub reads it: front matter in YAML, then Markdown."""

from __future__ import annotations

import json

#: Marks what Lorry published, so that it never overwrites or deletes what it did not make.
TAG = "lorry"


def model_card(
    *, repo: str, base: str, trigger: str | None, digest: str, weights: str, license_id: str | None = None
) -> str:
    """Write the card of a LoRA (format: Hugging Face documentation, "Model cards").

    Args:
        repo: Name of the repository, without its owner.
        base: Public id of the base model.
        trigger: The trigger word, if any.
        digest: SHA-256 of the weights, hex.
        weights: Name of the weights file.
        license_id: Licence identifier of the Hub; left out when the owner has not said one.
    """
    # A JSON string is a YAML string too, whatever it contains.
    front = [
        "---",
        f"base_model: {json.dumps(base)}",
        "library_name: diffusers",
        "pipeline_tag: text-to-image",
        *([f"license: {json.dumps(license_id)}"] if license_id else []),
        *([f"instance_prompt: {json.dumps(trigger)}"] if trigger else []),
        "tags:",
        *(f"- {tag}" for tag in ("lora", "text-to-image", "diffusers", TAG)),
        "---",
    ]
    prompt = f"{trigger} …" if trigger else "…"
    said = f"Put the trigger word `{trigger}` into the prompt." if trigger else "It has no trigger word."
    body = f"""
# {repo}

A LoRA for `{base}`. {said}

```python
from diffusers import DiffusionPipeline

pipeline = DiffusionPipeline.from_pretrained("{base}")
pipeline.load_lora_weights("OWNER/{repo}", weight_name="{weights}")
picture = pipeline("{prompt}").images[0]
```

`{weights}` has the SHA-256 `{digest}`. Published by Lorry.
"""
    return "\n".join(front) + "\n" + body
