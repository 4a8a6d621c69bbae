"""Names of layers are translated both ways, exactly, for every layer of every family."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import pytest

from lorry.weights import families, family
from lorry.weights.bases.families import Family, layer_names
from lorry.weights.bases.names import Place, Target, to_diffusers, to_native

every_family = pytest.mark.parametrize("known", families(), ids=lambda known: known.key)


def _known(key: str) -> Family:
    known = family(key)
    assert known is not None
    return known


@every_family
def test_a_diffusers_name_is_its_own_target(known: Family) -> None:
    """A layer's diffusers name, dotted or flat, is that layer with all of its rows."""
    for name, _, outputs in layer_names(known):
        expected = (Target(name, 0, outputs),)
        assert to_diffusers(known, name, False) == expected
        assert to_diffusers(known, name.replace(".", "_"), True) == expected


@every_family
def test_the_way_to_the_original_and_back_is_the_identity(known: Family) -> None:
    """Each layer's place in the original model leads back to the layer, dotted and flat alike."""
    for name, _, outputs in layer_names(known):
        place = to_native(known, name)
        assert place is not None
        targets = to_diffusers(known, place.name, False)
        assert targets == to_diffusers(known, place.name.replace(".", "_"), True)
        assert len(targets) == place.parts
        assert targets[place.part] == Target(name, place.first, place.last, place.swap)
        assert place.last - place.first == outputs


@every_family
def test_the_parts_of_a_fused_layer_fill_its_rows(known: Family) -> None:
    """The parts lie below each other without gaps, and every part that the name promises is there."""
    parts: dict[str, list[Place]] = defaultdict(list)
    for name, _, _ in layer_names(known):
        place = to_native(known, name)
        assert place is not None
        parts[place.name].append(place)
    for places in parts.values():
        places.sort(key=lambda place: place.part)
        assert [place.part for place in places] == list(range(places[0].parts))
        assert [place.first for place in places] == [0, *(place.last for place in places[:-1])]


@every_family
def test_no_two_layers_flatten_to_one_name(known: Family) -> None:
    """Underscores lose nothing: not among diffusers' names, not among the original ones, not between."""
    meanings: dict[str, set[str]] = defaultdict(set)
    for name, _, _ in layer_names(known):
        place = to_native(known, name)
        assert place is not None
        meanings[name.replace(".", "_")].add(name)
        meanings[place.name.replace(".", "_")].add(place.name)
    assert not {flat: names for flat, names in meanings.items() if len(names) > 1}
    originals = Counter(place.name for name, _, _ in layer_names(known) if (place := to_native(known, name)))
    assert all(len(to_diffusers(known, name, False)) == count for name, count in originals.items())


@pytest.mark.parametrize(
    ("key", "native", "expected"),
    [
        (
            "flux1",
            "single_blocks.37.linear1",
            (
                Target("single_transformer_blocks.37.attn.to_q", 0, 3072),
                Target("single_transformer_blocks.37.attn.to_k", 3072, 6144),
                Target("single_transformer_blocks.37.attn.to_v", 6144, 9216),
                Target("single_transformer_blocks.37.proj_mlp", 9216, 21504),
            ),
        ),
        ("flux1", "single_blocks.3.linear2", (Target("single_transformer_blocks.3.proj_out", 0, 3072),)),
        ("flux1", "final_layer.adaLN_modulation.1", (Target("norm_out.linear", 0, 6144, swap=True),)),
        (
            "flux2-dev",
            "single_blocks.47.linear1",
            (Target("single_transformer_blocks.47.attn.to_qkv_mlp_proj", 0, 55296),),
        ),
        (
            "sd3-medium",
            "joint_blocks.23.context_block.adaLN_modulation.1",
            (Target("transformer_blocks.23.norm1_context.linear", 0, 3072, swap=True),),
        ),
        (
            "z-image",
            "context_refiner.1.attention.out",
            (Target("context_refiner.1.attention.to_out.0", 0, 3840),),
        ),
        (
            "sdxl",
            "output_blocks.5.1.transformer_blocks.1.attn2.to_k",
            (Target("up_blocks.1.attentions.2.transformer_blocks.1.attn2.to_k", 0, 640),),
        ),
        ("sdxl", "output_blocks.2.2.conv", (Target("up_blocks.0.upsamplers.0.conv", 0, 1280),)),
        ("sd1", "output_blocks.2.1.conv", (Target("up_blocks.0.upsamplers.0.conv", 0, 1280),)),
        ("sd1", "input_blocks.8.0.emb_layers.1", (Target("down_blocks.2.resnets.1.time_emb_proj", 0, 1280),)),
    ],
)
def test_original_names_mean_these_layers(key: str, native: str, expected: tuple[Target, ...]) -> None:
    """Sizes and order of fused layers are those of the dossier, sections 1.2 and 1.3."""
    assert to_diffusers(_known(key), native, False) == expected
    assert to_diffusers(_known(key), native.replace(".", "_"), True) == expected


def test_xlabs_names_are_understood_and_never_written() -> None:
    """XLabs' processors are a second name for the same layers; the original's own name is the place."""
    flux = _known("flux1")
    text = to_diffusers(flux, "double_blocks.18.processor.qkv_lora2", False)
    assert [target.name.rpartition(".")[2] for target in text] == ["add_q_proj", "add_k_proj", "add_v_proj"]
    place = to_native(flux, "transformer_blocks.18.attn.add_k_proj")
    assert place == Place("double_blocks.18.txt_attn.qkv", 1, 3, 3072, 6144)


def test_what_is_no_layer_has_no_target() -> None:
    """A block beyond the last one, a stranger's name and an empty one mean nothing."""
    flux = _known("flux1")
    for name in ("double_blocks.19.img_attn.qkv", "transformer_blocks.19.attn.to_q", "encoder.1", ""):
        assert to_diffusers(flux, name, False) == ()
        assert to_diffusers(flux, name.replace(".", "_"), True) == ()
        assert to_native(flux, name) is None
    assert to_diffusers(flux, "double_blocks_0_img_attn_qkv", False) == ()


#: What diffusers itself converts a family's original checkpoint with.
CONVERSIONS = {
    "flux1": "convert_flux_transformer_checkpoint_to_diffusers",
    "flux2-dev": "convert_flux2_transformer_checkpoint_to_diffusers",
    "flux2-klein-4b": "convert_flux2_transformer_checkpoint_to_diffusers",
    "flux2-klein-9b": "convert_flux2_transformer_checkpoint_to_diffusers",
    "sd3-medium": "convert_sd3_transformer_checkpoint_to_diffusers",
    "sd3.5-medium": "convert_sd3_transformer_checkpoint_to_diffusers",
    "sd3.5-large": "convert_sd3_transformer_checkpoint_to_diffusers",
    "z-image": "convert_z_image_transformer_checkpoint_to_diffusers",
    "wan-14b": "convert_wan_transformer_to_diffusers",
    "wan2.1-i2v-14b": "convert_wan_transformer_to_diffusers",
    "wan2.1-1.3b": "convert_wan_transformer_to_diffusers",
    "wan2.2-5b": "convert_wan_transformer_to_diffusers",
    "ltx-2b": "convert_ltx_transformer_checkpoint_to_diffusers",
    "ltx-13b": "convert_ltx_transformer_checkpoint_to_diffusers",
    "ltx2": "convert_ltx2_transformer_to_diffusers",
    "sd1": "convert_ldm_unet_checkpoint",
    "sd2": "convert_ldm_unet_checkpoint",
    "sdxl": "convert_ldm_unet_checkpoint",
}


class Checkpoint(dict[str, Any]):
    """An original checkpoint of linear layers; what a conversion wants besides them is an empty tensor."""

    def __init__(self, tensors: Mapping[str, Any], empty: Any) -> None:
        super().__init__(tensors)
        self.empty = empty

    def pop(self, key: str, *_: Any) -> Any:
        """Give a tensor away."""
        return super().pop(key) if key in self else self.empty

    def __missing__(self, key: str) -> Any:
        return self.empty


def _originals(known: Family) -> dict[str, int]:
    """List the original names with their outputs."""
    rows: dict[str, int] = {}
    for name, _, _ in layer_names(known):
        place = to_native(known, name)
        assert place is not None
        rows[place.name] = max(rows.get(place.name, 0), place.last)
    return rows


@pytest.mark.reference
@pytest.mark.parametrize("key", CONVERSIONS)
def test_diffusers_converts_checkpoints_by_the_same_names(key: str) -> None:
    """Every row of every original layer comes where our tables say, in diffusers' own conversion."""
    torch = pytest.importorskip("torch")
    single_file = pytest.importorskip("diffusers.loaders.single_file_utils")
    known = _known(key)
    rows: dict[str, Any] = {}
    for number, (name, outputs) in enumerate(_originals(known).items()):
        rows[f"{name}.bias"] = torch.arange(outputs) + number * 1_000_000
        rows[f"{name}.weight"] = rows[f"{name}.bias"].unsqueeze(1)
    prefix = "model.diffusion_model." if known.component == "unet" else ""
    checkpoint = Checkpoint({prefix + name: tensor for name, tensor in rows.items()}, torch.zeros(6, 1))
    arguments = [{"layers_per_block": 2, **known.model["config"]}] if known.component == "unet" else []
    converted = getattr(single_file, CONVERSIONS[key])(checkpoint, *arguments)
    for name, _, _ in layer_names(known):
        place = to_native(known, name)
        assert place is not None
        expected = rows[f"{place.name}.weight"][place.first : place.last]
        if place.swap:
            half = len(expected) // 2
            expected = torch.cat([expected[half:], expected[:half]])
        assert torch.equal(converted[f"{name}.weight"], expected), name
