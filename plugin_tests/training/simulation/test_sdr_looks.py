"""Every SDR look: in range, monotone on grey, black to black; the known ones against published figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vsdslnet.color.measured import curve_nits
from vsdslnet.color.transfer import nits_to_pq
from vsdslnet.errors import MediaError
from vsdslnet.training.simulation.curves import base_stops, colourist_table, gainmap_table, lookup, tabulate
from vsdslnet.training.simulation.sdr_looks import LOOKS, colourist, gainmap, hard_clip
from vsdslnet.training.simulation.table_looks import read_cube, smooth_lut

FORMULAS = [name for name, look in LOOKS.items() if not look.lut]


def identity_lut() -> torch.Tensor:
    axis = np.round(255 * np.arange(65) / 64).astype(np.uint8)
    b, g, r = np.meshgrid(axis, axis, axis, indexing="ij")
    return smooth_lut(np.stack([r, g, b], axis=-1), sigma=0.5)


def draw(name: str, seed: int) -> dict[str, object]:
    arguments: dict[str, object] = dict(LOOKS[name].sample(np.random.default_rng(seed)))
    if LOOKS[name].lut:
        arguments["lut"] = identity_lut()
    return arguments


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_gives_a_finite_signal_between_0_and_1_and_the_same_twice(name: str) -> None:
    nits = torch.rand(2, 3, 36, 64, generator=torch.Generator().manual_seed(0)).pow(3) * 1000
    before = nits.clone()
    for seed in range(6):
        arguments = draw(name, seed)
        signal = LOOKS[name].apply(nits, **arguments)
        assert signal.shape == nits.shape
        assert torch.isfinite(signal).all()
        assert float(signal.min()) >= 0
        assert float(signal.max()) <= 1
        assert torch.equal(signal, LOOKS[name].apply(nits, **arguments))
    assert torch.equal(nits, before)


@pytest.mark.parametrize("name", LOOKS)
def test_black_stays_black(name: str) -> None:
    for seed in range(6):
        signal = LOOKS[name].apply(torch.zeros(1, 3, 36, 64), **draw(name, seed))
        assert float(signal.max()) < 0.5 / 255


@pytest.mark.parametrize("name", [name for name in FORMULAS if name != "editor"])
def test_a_grey_ramp_never_falls(name: str) -> None:
    ramp = torch.linspace(0, 1000 ** (1 / 3), 512).pow(3).reshape(1, 1, 1, -1).expand(1, 3, 8, -1)
    for seed in range(6):
        arguments = draw(name, seed)
        if "local" in arguments:
            arguments["local"] = 0.0
        signal = LOOKS[name].apply(ramp.contiguous(), **arguments)[0, 1, 0]
        assert float(signal.diff().min()) > -2e-4
        assert float(signal[-1]) > 0.6


def test_the_central_colourist_curve_is_the_inverse_of_the_measured_base() -> None:
    codes = torch.arange(8, 240) / 255
    nits = curve_nits(codes).reshape(1, 1, -1)
    table = colourist_table(gain_stops=0, tilt_stops=0, mid_stops=0)
    assert float((lookup(table, nits)[0, 0] - codes).abs().max()) < 0.5 / 255


def test_gain_tilt_and_mid_move_the_light_over_one_code_as_many_stops_as_they_say() -> None:
    nits = curve_nits(torch.full((1, 1, 1), 0.5))
    brighter = lookup(colourist_table(gain_stops=0.5, tilt_stops=0.3, mid_stops=0.2), nits * 2**0.7)
    assert float(brighter) == pytest.approx(0.5, abs=2e-3)


def test_a_gain_map_look_comes_back_by_its_gain() -> None:
    grey = torch.linspace(1, 900, 300).reshape(1, 1, 1, -1).expand(1, 3, 4, -1).contiguous()
    arguments = {"stops": 2.2, "low": 0.1, "high": 1.0, "white_nits": 203.0}
    signal = gainmap(grey, local=0.0, chroma=1.0, **arguments)[0, 0, 0].double()
    linear = torch.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    t = ((signal - 0.1) / 0.9).clamp(0, 1)
    hdr = 203 * linear * 2 ** (2.2 * t * t * (3 - 2 * t))
    assert torch.allclose(hdr, grey[0, 0, 0].double(), rtol=5e-3)
    assert float(lookup(gainmap_table(**arguments), torch.tensor([203 * 2**2.2]))) == pytest.approx(2.2, abs=0.01)


def test_local_looks_depend_on_the_neighbourhood_and_global_ones_do_not() -> None:
    dark, bright = torch.full((1, 3, 72, 128), 2.0), torch.full((1, 3, 72, 128), 400.0)
    for picture in (dark, bright):
        picture[..., 30:42, 58:70] = 60.0
    arguments = {"gain_stops": 0.0, "tilt_stops": 0.0, "mid_stops": 0.0, "per_channel": 0.0, "desaturate": 0.0}
    for local, same in ((0.0, True), (0.35, False)):
        seen = [colourist(p, local=local, chroma=1.0, **arguments)[0, 1, 36, 64] for p in (dark, bright)]
        assert torch.isclose(seen[0], seen[1], atol=1e-4) == same


def test_the_base_layer_is_flat_where_light_is_and_keeps_an_edge() -> None:
    nits = torch.full((1, 3, 72, 128), 10.0)
    assert torch.allclose(base_stops(nits), torch.tensor(10.0).log2(), atol=1e-3)
    nits[..., 64:] = 640.0
    base = base_stops(nits)
    assert float(base[..., 62].mean()) < np.log2(10) + 1
    assert float(base[..., 66].mean()) > np.log2(640) - 1


def test_a_lut_is_read_in_b_g_r_order_and_interpolated() -> None:
    nits = torch.rand(2, 3, 6, 10, generator=torch.Generator().manual_seed(1)) * 900 + 20
    signal = LOOKS["youtube"].apply(nits, lut=identity_lut())
    assert torch.allclose(signal, nits_to_pq(nits), atol=0.004)


def test_hard_clip_codes_its_white_as_1_and_half_of_it_by_bt1886() -> None:
    grey = torch.tensor([100.0, 50.0, 300.0]).reshape(1, 1, 1, 3).expand(1, 3, 1, 3)
    signal = hard_clip(grey, white_nits=100.0)[0, 0, 0]
    assert torch.allclose(signal, torch.tensor([1.0, 0.5 ** (1 / 2.4), 1.0]), atol=1e-5)


def test_a_table_gives_the_function_back() -> None:
    table = tabulate(lambda nits: np.sqrt(nits))
    nits = torch.tensor([0.01, 1.0, 203.0, 9999.0])
    assert torch.allclose(lookup(table, nits), nits.sqrt(), rtol=2e-3)


def test_aces_has_the_tone_scales_of_the_academy() -> None:
    """Mid-grey is 10 cd/m² in HDR and a tenth of white in SDR, diffuse white lies near 100."""
    grey = torch.tensor([10.0, 100.0, 1000.0]).view(1, 1, 1, -1).expand(1, 3, 1, -1)
    signal = LOOKS["aces"].apply(grey)[0, 1, 0]
    assert float(signal[0]) == pytest.approx((4.78 / 47.98 * (4.78 / 47.98) ** -0.0189) ** (1 / 2.4), abs=2e-3)
    assert 0.8 < float(signal[1]) < 0.88
    assert float(signal[2]) == pytest.approx(1, abs=1e-3)


def test_a_cube_is_read_with_red_fastest_and_in_narrow_range(tmp_path: Path) -> None:
    axis = np.linspace(0, 1, 5)
    rows = [f"{r:.6f} {g:.6f} {b:.6f}" for b in axis for g in axis for r in axis]
    path = tmp_path / "identity.cube"
    path.write_text("\n".join(['TITLE "none"', "# a comment", "LUT_3D_SIZE 5", *rows]))
    nits = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 900
    assert torch.allclose(LOOKS["broadcast"].apply(nits, lut=read_cube(path)), nits_to_pq(nits), atol=1e-5)
    path.write_text("LUT_3D_SIZE 5\n0 0 0\n")
    with pytest.raises(MediaError, match=r"identity\.cube"):
        read_cube(path)
