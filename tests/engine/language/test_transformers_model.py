"""The real language model: what it computes is what transformers and peft compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lorry.engine.language.port import LanguageModel, TextAnswer, TextRequest
from lorry.errors import AdapterUnusable, OptionInvalid
from tests.engine.language.adapters import SOME, write_adapter
from tests.engine.language.asking import QUESTIONS, ask, one

pytestmark = pytest.mark.reference

ROOT = Path(__file__).resolve().parents[3]
DISPATCH = ROOT / "examples" / "dispatch"
UNSEEN = ROOT / "tools" / "text_adapter" / "unseen.jsonl"


def _unseen() -> list[str]:
    lines = UNSEEN.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines]


def test_greedy_answers_are_those_of_generate(real: Any) -> None:
    """Greedy answers are token for token what transformers' own `generate` gives."""
    for question in QUESTIONS:
        request = ask(question, max_tokens=24)
        answer = one(real, request)
        prompt = real._prompts.read(request)
        tokens = _generated(real._plain, prompt, 24)
        ended = tokens[-1] == real._plain.generation_config.eos_token_id
        assert answer.completion_tokens == len(tokens)
        assert answer.finish_reason == ("stop" if ended else "length")
        text = real._tokenizer.decode(tokens, skip_special_tokens=True)
        assert answer.text == text.rstrip("\ufffd")


def _generated(model: Any, prompt: list[int], limit: int) -> list[int]:
    import torch

    ids = torch.tensor([prompt])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=limit, do_sample=False)
    tokens: list[int] = out[0, len(prompt) :].tolist()
    return tokens


def test_a_batch_of_ten_answers_as_each_alone(real: LanguageModel) -> None:
    """Ten questions, every other with the sample adapter, have the words that they have alone."""
    real.load("one", DISPATCH)
    asked = [ask(question, adapter=("one", None)[at % 2]) for at, question in enumerate(_unseen()[:10])]
    assert real.answer(asked) == [one(real, request) for request in asked]


def test_the_sample_adapter_speaks_like_a_dispatcher(real: LanguageModel) -> None:
    """The sample adapter answers all unseen questions in its manner, the base none: as its card says."""
    real.load("one", DISPATCH)
    base = real.answer([ask(question, max_tokens=40) for question in _unseen()])
    adapted = real.answer([ask(question, max_tokens=40, adapter="one") for question in _unseen()])
    opening, closing = "Copy that, driver.", "Over and out."
    assert not any(answer.text.startswith(opening) for answer in base)
    assert all(answer.text.startswith(opening) and answer.text.endswith(closing) for answer in adapted)
    assert "Paris" in adapted[0].text
    card = (DISPATCH / "README.md").read_text(encoding="utf-8")
    assert f"| {_unseen()[0]} | {adapted[0].text} |" in card


def test_unloading_gives_the_plain_model_back(real: Any, tmp_path: Path) -> None:
    """After the last adapter has left, no layer is wrapped and no weight is another than before."""
    from peft.tuners.lora.layer import LoraLayer

    weights = {name: (value.data_ptr(), value.sum().item()) for name, value in real._plain.named_parameters()}
    for key in ("one", "two"):
        real.load(key, write_adapter(tmp_path / key))
    one(real, ask(adapter="one"))
    assert sum(isinstance(module, LoraLayer) for module in real._plain.modules()) == len(SOME)
    real.unload("one")
    real.unload("two")
    assert not any(isinstance(module, LoraLayer) for module in real._plain.modules())
    after = {name: (value.data_ptr(), value.sum().item()) for name, value in real._plain.named_parameters()}
    assert after == weights


def test_an_adapter_that_leaves_ends_its_answer(real: LanguageModel, tmp_path: Path) -> None:
    """A stream whose adapter is unloaded ends with an error; it never goes on in the base's words."""
    real.load("one", write_adapter(tmp_path))
    pieces = real.stream(ask(adapter="one"))
    next(pieces)
    real.unload("one")
    with pytest.raises(AdapterUnusable, match="one"):
        list(pieces)


def test_two_streams_can_be_read_in_turns(real: LanguageModel) -> None:
    """Streams of the base and of an adapter that are read in turns give what each gives alone."""
    real.load("one", DISPATCH)
    asked = [ask(), ask(adapter="one")]
    wanted = [one(real, request) for request in asked]
    streams = [real.stream(request) for request in asked]
    last: list[Any] = [None, None]
    while not all(isinstance(each, TextAnswer) for each in last):
        last = [next(stream, before) for stream, before in zip(streams, last, strict=True)]
    assert last == wanted


def test_a_merged_adapter_says_the_same(real: Any, tmp_path: Path) -> None:
    """The base with an adapter merged in, opened as a checkpoint, says what the attached adapter says."""
    from lorry.engine.language.open import open_language

    real.load("one", DISPATCH)
    asked = [ask(question, max_tokens=40) for question in _unseen()]
    attached = real.answer([ask(question, max_tokens=40, adapter="one") for question in _unseen()])
    _merge(real, DISPATCH, tmp_path / "merged")
    merged = open_language(tmp_path / "merged", tmp_path / "unused")
    assert merged.name == "merged"
    assert [answer.text for answer in merged.answer(asked)] == [answer.text for answer in attached]


def _merge(real: Any, adapter: Path, out: Path) -> None:
    import warnings

    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = real._plain.name_or_path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
        model.merge_and_unload().save_pretrained(out)
    AutoTokenizer.from_pretrained(base).save_pretrained(out)


@pytest.mark.parametrize(
    "config",
    [
        {"lora_alpha": 8.0},
        {"lora_alpha": 8, "use_rslora": True},
        {"rank_pattern": {"14.mlp.up_proj": 2}, "alpha_pattern": {"up_proj": 3, "v_proj": 1.5}},
        {"target_modules": ["v_proj"]},
    ],
    ids=["alpha", "rslora", "patterns", "fewer targets"],
)
def test_an_adapter_acts_as_peft_loads_it(real: Any, tmp_path: Path, config: dict[str, Any]) -> None:
    """The numbers with an adapter are those that peft's own `from_pretrained` gives."""
    import warnings

    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    ranks = {"model.layers.14.mlp.up_proj": 2} if "rank_pattern" in config else None
    write_adapter(tmp_path, config=config, ranks=ranks)
    real.load("one", tmp_path)
    prompt = torch.tensor([real._prompts.read(ask())])
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(real._plain.name_or_path), tmp_path
        )
        wanted = peer.eval()(input_ids=prompt).logits
        found = real._forward(["one"], input_ids=prompt).logits
        twice = torch.cat([prompt, prompt])
        mixed = real._forward(["one", None], input_ids=twice).logits
        alone = real._forward([None], input_ids=prompt).logits
    assert torch.allclose(found, wanted, atol=1e-4)
    assert torch.allclose(mixed[0], wanted[0], atol=1e-3)
    assert torch.allclose(mixed[1], alone[0], atol=1e-3)
    assert not torch.allclose(wanted, alone, atol=1e-2)


def test_characters_come_whole(real: LanguageModel) -> None:
    """A character of several tokens comes in one piece; one that the limit cuts is left out."""
    question = "Repeat after me: 👩‍🚒 🚚 ตะวัน 日本語"
    for limit in range(1, 13):
        *pieces, last = real.stream(ask(question, max_tokens=limit))
        assert isinstance(last, TextAnswer)
        assert not any("\ufffd" in str(piece) for piece in pieces)
        assert last.text == "".join(map(str, pieces))
        last.text.encode()


@pytest.mark.parametrize(
    "text",
    ["👩‍🚒 🚚", "ตะวัน", "日本語, 中文", "  two  spaces\n\n\tand a tab", "naïve café", "مرحبا", "\u200dz"],
)
def test_streamed_characters_are_the_decoded_ones(real: Any, text: str) -> None:
    """Tokens that are turned into text one by one make up what all of them make up together."""
    from tokenizers.decoders import DecodeStream

    tokens = real._tokenizer.encode(text, add_special_tokens=False).ids
    stream = DecodeStream(skip_special_tokens=True)
    assert "".join(stream.step(real._tokenizer, token) or "" for token in tokens) == text


def test_special_tokens_end_an_answer_and_are_never_shown(real: LanguageModel) -> None:
    """No special token is part of an answer's text, not even where a bare prompt invites them."""
    prompt = "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n"
    answer = one(real, TextRequest(prompt=prompt, temperature=0, max_tokens=60))
    assert answer.finish_reason == "stop"
    assert "<|" not in answer.text


def test_the_answer_ends_with_the_context(tiny: Any) -> None:
    """An answer has as many tokens as the context leaves room for, and a prompt that fills it is refused."""
    full = tiny.context_length
    words = " the" * (full - 10)
    room = full - one(tiny, TextRequest(prompt=words, max_tokens=1)).prompt_tokens
    answer = one(tiny, TextRequest(prompt=words, temperature=0, max_tokens=1000))
    assert answer.completion_tokens <= room
    assert answer.finish_reason in ("stop", "length")
    with pytest.raises(OptionInvalid, match=str(full)):
        one(tiny, TextRequest(prompt=" the" * full))


def test_a_model_without_a_template_takes_no_conversation(tiny: Any) -> None:
    """Where there is no chat template, a conversation is refused, and a prompt is answered."""
    tiny._prompts._tokenizer.chat_template = None
    with pytest.raises(OptionInvalid, match="chat template"):
        one(tiny, ask())
    assert one(tiny, TextRequest(prompt="Hello", max_tokens=2)).completion_tokens


def test_a_template_may_refuse_a_conversation(tiny: Any) -> None:
    """What a model's chat template objects to is said in its words, and is the asker's to change."""
    tiny._prompts._tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(OptionInvalid, match="roles must alternate"):
        one(tiny, ask())
