"""What is shown of a text: no key, no token, and of an address nothing after its `?`."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorry.redaction import HIDDEN, betrays, shown, shown_value

#: What a key may be made of (a header takes printable ASCII without blanks). Its beginning is in no sentence
#: of ours, so that finding it always means that it was shown.
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60).map(
    lambda text: f"k~7{text}"
)
WORDS = st.text(max_size=80)


@given(WORDS, KEYS, WORDS)
def test_a_known_secret_is_nowhere(before: str, key: str, after: str) -> None:
    """A known key is taken out of any text, plain, quoted for an address, and inside JSON."""
    text = f"{before}{key}{after} {json.dumps({'said': key})}"
    assert key not in shown(text, (key,))
    assert key not in json.dumps(shown_value({"a": [text, {key: key}], "b": (key,)}, (key,)))


@given(WORDS)
def test_a_second_time_changes_nothing(text: str) -> None:
    """What may be shown stays as it is: errors, journal and doors may all clean the same text."""
    once = shown(text)
    assert shown(once) == once
    assert not betrays(once)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (
            "GET https://s3.example/a.zip?X-Amz-Signature=0a&x=1 gave 403.",
            "GET https://s3.example/a.zip gave 403.",
        ),
        ("see <https://h/p?sig=abc#x>", "see <https://h/p>"),
        ("'https://ann:secret@hub.example/x?token=1'", "'https://hub.example/x'"),
        ("s3://bucket/key?AWSAccessKeyId=AKIA", "s3://bucket/key"),
        ("Authorization: Bearer abc", f"Authorization: {HIDDEN}"),
        ("bearer tgp_v1_0123456789", f"bearer {HIDDEN}"),
        ('{"hf_token": "hf_short", "n": 1}', f'{{"hf_token": "{HIDDEN}", "n": 1}}'),
        ('{"token": "x1"}', f'{{"token": "{HIDDEN}"}}'),
        ("api_key='k'", f"api_key='{HIDDEN}'"),
        ("X-Amz-Signature=0a1b&X-Amz-Date=20261125", f"X-Amz-Signature={HIDDEN}&X-Amz-Date=20261125"),
        ("hf_abcdefghijklmnopqrstuvwxyz012345 was refused", f"{HIDDEN} was refused"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", HIDDEN),
    ],
)
def test_what_looks_like_a_secret_goes(text: str, seen: str) -> None:
    """Signatures, logins in addresses, bearer tokens and well-known shapes go, though nobody named them."""
    assert shown(text) == seen


@pytest.mark.parametrize(
    "text",
    [
        "Set a valid key (TOGETHER_API_KEY or HF_TOKEN) and run the same command again.",
        "You can find your API key at https://api.together.xyz/settings/api-keys.",
        "The trigger token: ohwx; trigger_token='ohwx', pad_token=<pad>",
        "hf_token: None",
        "max_tokens=64, 12 tokens, key=accelerator_type",
        "sha256 4f2a0c53d1b0c9ab6dd1e2f1c3a0f5e6d7c8b9a0f1e2d3c4b5a697887766554",
        "needs hf_transfer",
        "http://127.0.0.1:8765/v2/projects/proj_1",
        "What is this?",
    ],
)
def test_what_is_none_stays(text: str) -> None:
    """Digests, trigger words, names of variables and plain addresses are what people need to read."""
    assert shown(text) == text


def test_a_short_secret_spoils_no_sentence() -> None:
    """`local`, which opens any engine, is no secret: it does not cut up the word localhost."""
    assert shown("localhost refused", ("local",)) == "localhost refused"


def test_values_keep_their_form() -> None:
    """Numbers, truths and `None` pass; names that tell of a secret hide whatever text is under them."""
    value = {"api_key": "anything", "Authorization": None, "n": 1.5, "ok": True, "list": [None, "x?y"]}
    assert shown_value(value) == {**value, "api_key": HIDDEN}
