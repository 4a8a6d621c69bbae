"""The address that the platform is given for a LoRA, by its source."""

from __future__ import annotations

import pytest

from lorry.errors import OptionInvalid
from lorry.platforms.together.lora_paths import lora_path

HUB = "https://huggingface.co"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        # A repository of the Hub.
        ("owner/name", f"{HUB}/owner/name"),
        (f"{HUB}/owner/name", f"{HUB}/owner/name"),
        (f"{HUB}/owner/name/", f"{HUB}/owner/name"),
        ("http://hf.co/owner/name", f"{HUB}/owner/name"),
        (f"{HUB}/owner/name/tree/main", f"{HUB}/owner/name"),
        # A file in one.
        ("owner/name/a-b.safetensors", f"{HUB}/owner/name/resolve/main/a-b.safetensors"),
        (
            f"{HUB}/owner/name/resolve/0123abcd/lora.safetensors",
            f"{HUB}/owner/name/resolve/0123abcd/lora.safetensors",
        ),
        (
            f"{HUB}/owner/name/blob/main/sub/lora.safetensors",
            f"{HUB}/owner/name/resolve/main/sub/lora.safetensors",
        ),
        (
            f"{HUB}/owner/name/resolve/main/lora.safetensors?download=true",
            f"{HUB}/owner/name/resolve/main/lora.safetensors",
        ),
        # Civitai: a download, or the page that tells which.
        ("https://civitai.com/api/download/models/456", "https://civitai.com/api/download/models/456"),
        (
            "https://civitai.com/api/download/models/456?type=Model&format=SafeTensor",
            "https://civitai.com/api/download/models/456?type=Model&format=SafeTensor",
        ),
        (
            "https://civitai.com/models/123/name?modelVersionId=456",
            "https://civitai.com/api/download/models/456",
        ),
        # Replicate: a model; pages about it lead to it.
        ("https://replicate.com/owner/model", "https://replicate.com/owner/model"),
        ("https://www.replicate.com/owner/model/versions/abc", "https://replicate.com/owner/model"),
        # Any other address of a file, with the permission that may stand behind it.
        ("https://a.example.com/lora.safetensors", "https://a.example.com/lora.safetensors"),
        (
            "https://b.s3.amazonaws.com/lora.safetensors?X-Amz-Signature=abc",
            "https://b.s3.amazonaws.com/lora.safetensors?X-Amz-Signature=abc",
        ),
        (
            "http://127.0.0.1:8799/local/tok/resolve/0123/pytorch_lora_weights.safetensors",
            "http://127.0.0.1:8799/local/tok/resolve/0123/pytorch_lora_weights.safetensors",
        ),
        ("  https://a.example.com/download?id=5 ", "https://a.example.com/download?id=5"),
    ],
)
def test_an_address_gets_the_form_that_the_platform_takes(given: str, sent: str) -> None:
    """The five forms of the dossier (3.3), and the pages from which they follow."""
    assert lora_path(given) == sent
    assert lora_path(sent) == sent


@pytest.mark.parametrize(
    "given",
    [
        "",
        "lora.safetensors",
        "/home/me/lora.safetensors",
        "ftp://a.example.com/lora.safetensors",
        f"{HUB}/owner",
        f"{HUB}/datasets/owner/name",
        f"{HUB}/owner/name/tree/main/sub",
        f"{HUB}/owner/name/blob/main/lora.ckpt",
        f"{HUB}/owner/name/discussions/1",
        "https://civitai.com/models/123",
        "https://civitai.com/models/123/name?modelVersionId=",
        "https://replicate.com/owner",
        "https://a.example.com/lora.ckpt?X-Amz-Signature=abc",
        "https://a.example.com/loras.zip",
        "https://a.example.com/loras.tar.gz",
    ],
)
def test_an_address_that_leads_to_no_file_is_refused_with_what_to_copy(given: str) -> None:
    """Nothing is guessed; the error names the forms, and not what stands behind the address's `?`."""
    with pytest.raises(OptionInvalid) as caught:
        lora_path(given)
    assert "civitai.com/api/download" in caught.value.fix
    assert "Signature" not in str(caught.value.as_dict())
