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
        repo: The repository, `owner/name`.
        base: Public id of the base model.
        trigger: The trigger word, if any.
        digest: SHA-256 of the weights, hex.
        weights: Name of the weights file.
        license_id: Licence identifier of the Hub; left out when the owner has not said one.
    """
    front = [
        "---",
        f"base_model: {_yaml(base)}",
        "library_name: diffusers",
        "pipeline_tag: text-to-image",
        *([f"license: {_yaml(license_id)}"] if license_id else []),
        *([f"instance_prompt: {_yaml(trigger)}"] if trigger else []),
        "tags:",
        *(f"- {tag}" for tag in ("lora", "text-to-image", "diffusers", TAG)),
        "---",
    ]
    prompt = f"{trigger} …" if trigger else "…"
    said = f"Put the trigger word {_code(trigger)} into the prompt." if trigger else "It has no trigger word."
    body = f"""
# {repo.rpartition("/")[2]}

A LoRA for {_code(base)}. {said}

```python
from diffusers import DiffusionPipeline

pipeline = DiffusionPipeline.from_pretrained({_python(base)})
pipeline.load_lora_weights("{repo}", weight_name={_python(weights)})
picture = pipeline({_python(prompt)}).images[0]
```

{_code(weights)} has the SHA-256 `{digest}`. Published by Lorry.
"""
    return "\n".join(front) + "\n" + body


def _yaml(text: str) -> str:
    # A double-quoted scalar (YAML 1.2, 7.3.1). JSON's own form would not do: YAML reads its pairs of
    # surrogates as two characters, and forbids some characters that JSON lets stand.
    return '"' + "".join(_escaped(sign) for sign in text) + '"'


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return f"\\{sign}"
    return sign if sign.isprintable() else f"\\U{ord(sign):08x}"


def _python(text: str) -> str:
    # Three backticks would end the example.
    return json.dumps(text, ensure_ascii=False).replace("`", "\\u0060")


def _code(text: str) -> str:
    line = " ".join(text.split())
    return f"`` {line} ``" if "`" in line else f"`{line}`"
