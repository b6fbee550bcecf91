"""DSLNet: its size, its names, what an untrained one is, and that parts equal the whole."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from vsdslnet.color.measured import measured_pq
from vsdslnet.color.sdr_to_hdr import bt2446a_pq, plain_pq
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet, upsample_crop
from vsdslnet.network.window import black_gate

TINY: dict[str, Any] = {"features": 8, "kernel": 5, "dynamic_kernel": 3, "condition_pixels": 1024}


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def tiny(**arguments: Any) -> DSLNet:
    """A small network whose every parameter is random, so that nothing hides behind a zero."""
    torch.manual_seed(1)
    network = DSLNet(DSLNetConfig(**(TINY | arguments))).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith(("head", "dmfa.ldoe.offset")):
                parameter.normal_(std=0.02)
            elif name.endswith(("tme_out.weight", "cme_out.weight", "sme.weight")):
                parameter.normal_(std=0.3)
    return network


def window_of(height: int, width: int, *, radius: int = 2, samples: int = 1) -> Tensor:
    torch.manual_seed(7)
    return torch.rand(samples, 2 * radius + 1, 3, height, width)


def test_default_has_929949_parameters() -> None:
    assert count(DSLNet()) == 929_949


@pytest.mark.parametrize(("radius", "parameters"), [(1, 886_000), (2, 930_429), (3, 974_000)])
def test_parameters_by_radius_with_batch_norm_are_the_papers(radius: int, parameters: int) -> None:
    got = count(DSLNet(DSLNetConfig(radius=radius, norm="batch")))
    assert abs(got - parameters) < 1000
    if radius == 2:
        assert got == 930_429


@pytest.mark.parametrize(
    ("part", "parameters"),
    [
        ("dmfa.ldoe", 217_786),
        ("dmfa.deform", 8_704),
        ("stfm.modulation", 16_640),
        ("stfm.residual", 332_736),
        ("lkqe", 258_880),
        ("head", 1_731),
    ],
)
def test_each_module_has_its_share(part: str, parameters: int) -> None:
    assert count(DSLNet().get_submodule(part)) == parameters


def test_condition_net_has_its_share_with_its_norms() -> None:
    condition = DSLNet(DSLNetConfig(norm="batch")).stfm.condition
    assert count(condition.blocks) == 11_520
    assert count(condition) == 11_520 + 82_432


READINGS: list[dict[str, Any]] = [
    {},
    {"offset_conv": False},
    {"norm": "batch"},
    {"norm": "instance"},
    {"lkrb": "text"},
    {"base": "plain"},
    {"base": "none"},
    {"condition_pixels": 0},
    {"dynamic_kernel": 0},
    {"radius": 0},
    {"radius": 1},
    {"black_anchor": 0.0},
    {"offset_conv": False, "norm": "instance", "lkrb": "text", "base": "none", "condition_pixels": 0},
]


@pytest.mark.parametrize("reading", READINGS, ids=lambda r: ",".join(f"{k}={v}" for k, v in r.items()) or "default")
def test_every_reading_builds_runs_and_trains(reading: dict[str, Any]) -> None:
    network = tiny(**reading).train()
    window = window_of(34, 50, radius=network.config.radius, samples=2)
    pq = network(window)
    assert pq.shape == (2, 3, 34, 50)
    pq.square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize(("base", "formula"), [("measured", measured_pq), ("bt2446a", bt2446a_pq), ("plain", plain_pq)])
def test_untrained_is_exactly_the_base(base: Any, formula: Any) -> None:
    torch.manual_seed(0)
    network = DSLNet(DSLNetConfig(**(TINY | {"base": base}))).eval()
    window = window_of(33, 47)
    with torch.no_grad():
        assert torch.equal(network(window), formula(window[:, 2]))


def test_base_stays_fp32_inside_autocast() -> None:
    network = DSLNet(DSLNetConfig(**TINY)).eval()
    window = window_of(32, 32)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        pq = network(window)
    assert pq.dtype == torch.float32
    assert torch.equal(pq, measured_pq(window[:, 2]))


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (1, 64), (64, 1), (3, 5), (17, 23), (33, 31), (40, 64)])
def test_any_size_goes_through(size: tuple[int, int]) -> None:
    network = tiny()
    with torch.no_grad():
        pq = network(window_of(*size))
    assert pq.shape == (1, 3, *size)
    assert torch.isfinite(pq).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (900, 3)])
def test_extreme_aspects_go_through_the_shipped_condition_size(size: tuple[int, int]) -> None:
    network = tiny(condition_pixels=DSLNetConfig().condition_pixels)
    with torch.no_grad():
        assert torch.isfinite(network(window_of(*size))).all()


def test_rendering_under_conditions_equals_forward() -> None:
    network = tiny()
    window = window_of(37, 50, samples=2)
    with torch.no_grad():
        assert torch.equal(network.render(window, network.conditions(window)), network(window))


def test_samples_of_a_batch_do_not_touch_each_other() -> None:
    network = tiny()
    window = window_of(24, 40, samples=3)
    with torch.no_grad():
        whole = network(window)
        for index in range(3):
            assert (network(window[index : index + 1])[0] - whole[index]).abs().max() < 1e-5


@pytest.mark.parametrize("origin", [(0, 0), (40, 0), (60, 96), (0, 96)])
def test_a_tile_with_its_halo_equals_the_same_place_of_the_whole(origin: tuple[int, int]) -> None:
    """Trunk halo 29 for these kernels, alignment 24 (offsets here stay below 6 px): 60 is enough."""
    network, halo, side = tiny(), 60, 24
    window = window_of(150, 180)
    height, width = window.shape[-2:]
    y, x = origin
    top, left = max(0, y - halo), max(0, x - halo)
    bottom, right = min(height, y + side + halo), min(width, x + side + halo)
    assert top % 2 == 0
    assert left % 2 == 0
    with torch.no_grad():
        conditions = network.conditions(window)
        offsets = network.dmfa.ldoe.offsets(
            network.dmfa.ldoe.encode(window.flatten(1, 2)), conditions.kernels, (height, width)
        )
        assert 0.05 < offsets.abs().max() < 6
        whole = network.render(window, conditions)
        box = (left / width, top / height, right / width, bottom / height)
        tile = network.render(window[..., top:bottom, left:right], conditions, [box])
    expected = whole[..., y : y + side, x : x + side]
    got = tile[..., y - top : y - top + side, x - left : x - left + side]
    assert (got - expected).abs().max() < 5e-5


def test_own_conditions_of_a_crop_would_differ() -> None:
    """What makes the test above able to fail: the conditions are global."""
    network = tiny()
    window = window_of(96, 96)
    window[..., :48] *= 0.2
    with torch.no_grad():
        whole = network.conditions(window).vectors.temporal
        part = network.conditions(window[..., :48]).vectors.temporal
    assert (whole - part).abs().max() > 1e-3


def test_upsample_crop_of_the_full_box_is_interpolation() -> None:
    spatial = torch.rand(2, 4, 5, 7)
    whole = upsample_crop(spatial, (40, 63))
    boxed = upsample_crop(spatial, (40, 63), [(0.0, 0.0, 1.0, 1.0)] * 2)
    assert (whole - boxed).abs().max() < 1e-5
    part = upsample_crop(spatial, (20, 21), [(21 / 63, 10 / 40, 42 / 63, 30 / 40)] * 2)
    assert (whole[..., 10:30, 21:42] - part).abs().max() < 1e-5


def test_black_gate_closes_at_black_and_opens_at_the_anchor() -> None:
    sdr = torch.zeros(3, 1, 4)
    sdr[1, 0] = torch.tensor([0.0, 1.5, 3.0, 200.0]) / 255
    assert black_gate(sdr, 3 / 255).flatten().tolist() == pytest.approx([0, 0.5, 1, 1])
    assert torch.equal(black_gate(sdr, 0.0), torch.ones(1, 1, 4))


def test_black_stays_black_whatever_the_weights() -> None:
    window = window_of(32, 32)
    window[..., 8:24, 8:24] = 0
    with torch.no_grad():
        pq = tiny()(window)
    assert torch.equal(pq[..., 8:24, 8:24], torch.zeros(1, 3, 16, 16))


def test_every_frame_of_the_window_matters() -> None:
    network = tiny()
    window = window_of(32, 32)
    with torch.no_grad():
        before = network(window)
        for frame in range(5):
            changed = window.clone()
            changed[:, frame] = 0.5
            assert not torch.equal(network(changed), before), frame


def test_condition_vectors_hardly_depend_on_the_frame_size() -> None:
    network = tiny(condition_pixels=1024)
    small = torch.rand(1, 5, 3, 18, 32)
    large = small.repeat_interleave(4, dim=-1).repeat_interleave(4, dim=-2)
    with torch.no_grad():
        a, b = network.stfm.condition(small), network.stfm.condition(large)
    assert a.spatial.shape == b.spatial.shape
    assert (a.temporal - b.temporal).abs().max() < 1e-3


def test_instance_norm_makes_the_pooled_vectors_the_same_for_every_picture() -> None:
    """Why ``norm`` is "none" by default."""
    for norm, differs in (("instance", False), ("none", True)):
        condition = tiny(norm=norm, condition_pixels=4096).stfm.condition
        with torch.no_grad():
            a = condition(torch.rand(1, 5, 3, 64, 64))
            b = condition(torch.rand(1, 5, 3, 64, 64) * 0.3 + 0.6)
        assert bool((a.temporal - b.temporal).abs().max() > 1e-4) is differs


def test_state_dict_names_are_the_ones_that_weights_files_carry() -> None:
    names = set(DSLNet().state_dict())
    lkrb = {f"{part}.{p}" for part in ("depthwise", "conv") for p in ("weight", "bias")}
    both = {"weight", "bias"}
    expected = {f"head.{p}" for p in both} | {f"dmfa.deform.{p}" for p in both}
    expected |= {f"dmfa.ldoe.{m}.{p}" for m in ("stem", "depthwise_in", "depthwise_out", "up", "offset") for p in both}
    expected |= {f"dmfa.ldoe.dynamic.{m}.{p}" for m in ("norm", "expand") for p in both}
    expected |= {"dmfa.ldoe.dynamic.squeeze.weight", "dmfa.ldoe.dynamic.bias"}
    expected |= {f"stfm.condition.blocks.{i}.conv.{p}" for i in range(4) for p in both}
    heads = ("tme_in", "tme_out", "cme_in", "cme_out", "sme")
    expected |= {f"stfm.condition.{m}.{p}" for m in heads for p in both}
    expected |= {f"stfm.modulation.convs.{i}.{p}" for i in range(4) for p in both}
    expected |= {f"stfm.residual.{i}.{p}" for i in (0, 2, 8) for p in both}
    expected |= {f"stfm.residual.{i}.{p}" for i in range(4, 8) for p in lkrb}
    expected |= {f"lkqe.0.{p}" for p in both} | {f"lkqe.{i}.{p}" for i in range(2, 6) for p in lkrb}
    assert names == expected


def test_modulation_stays_near_the_identity_however_strange_the_frame_is() -> None:
    torch.manual_seed(5)
    condition = DSLNet(DSLNetConfig(features=8, kernel=5, dynamic_kernel=3)).stfm.condition
    identity = torch.tensor([1.0] * 8 + [0.0] * 8)
    near = condition.vectors(torch.rand(1, 5, 128, 3, 4))
    far = condition.vectors(1000 * torch.rand(1, 5, 128, 3, 4))
    for vector, limit in zip(far, (1.15, 0.575, 0.75), strict=True):
        change = vector - identity.view(1, -1, *[1] * (vector.dim() - 2))
        assert torch.allclose(change.square().mean(dim=1).sqrt(), torch.tensor(limit), rtol=1e-4)
    deep = condition.cme_out(condition.cme_in(torch.zeros(1, 128, 1, 1))).flatten(1)
    assert torch.allclose(condition.vectors(torch.zeros(1, 5, 128, 3, 4)).current, deep, atol=1e-6)
    assert all(vector.isfinite().all() for vector in near)
