"""The lattice behind "-lut" models: near the pixels it was fitted to, bounded, black at 0, greys rising."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vsdslnet.color.measured import measured_pq
from vsdslnet.color.sdr_to_hdr import plain_pq
from vsdslnet.color.transfer import pq_scalar
from vsdslnet.inference.lut.cube_file import cube_text
from vsdslnet.inference.lut.lattice import LATTICE_SIDE, fit_lattice, look_lattice, sdr_nodes
from vsdslnet.options import LookOptions

RANDOM = torch.Generator().manual_seed(5)


def picture(height: int = 90, width: int = 160) -> Tensor:
    return torch.rand(3, height, width, generator=RANDOM)


def read(lattice: Tensor, sdr: Tensor) -> Tensor:
    """Trilinear, by PyTorch's own sampler."""
    grid = 2 * sdr.permute(1, 2, 0)[None, None] - 1
    return torch.nn.functional.grid_sample(lattice[None], grid, align_corners=True)[0, :, 0]


def grey(lattice: Tensor) -> Tensor:
    level = torch.arange(lattice.shape[-1])
    return lattice[:, level, level, level]


def test_nodes_have_red_along_the_last_axis() -> None:
    nodes = sdr_nodes(3)
    assert nodes[:, 0, 1, 2].tolist() == [1.0, 0.5, 0.0]


def test_a_smooth_mapping_is_found_again() -> None:
    sdr = picture()
    wanted = measured_pq(sdr) + 0.04 * torch.sin(3 * sdr.flip(0)) * sdr
    error = (read(fit_lattice(sdr, wanted), sdr) - wanted).abs()
    base_error = (measured_pq(sdr) - wanted).abs()
    assert error.mean() < 0.05 * base_error.mean()


def test_colours_that_a_picture_lacks_follow_their_neighbours_and_then_the_base() -> None:
    sdr = 0.3 + 0.1 * picture()
    lattice = fit_lattice(sdr, measured_pq(sdr) + 0.02)
    base = measured_pq(sdr_nodes().reshape(3, -1, LATTICE_SIDE)).view_as(lattice)
    change = lattice - base
    assert change.max() < 0.03
    assert change.min() > -0.005
    assert change[:, 11, 11, 11].min() > 0.015, "a colour of the picture"
    assert change[:, 16, 16, 16].min() > 0.01, "a grey beside it"
    assert change[:, 0, 0, 32].abs().max() < 0.01, "a pure red far away"


@pytest.mark.parametrize(
    "look",
    [
        LookOptions(),
        LookOptions(peak_nits=300),
        LookOptions(peak_nits=4000, saturation=1.5),
        LookOptions(white_nits=50, peak_nits=100),
        LookOptions(white_nits=600),
        LookOptions(strength=0.3, saturation=0),
        LookOptions(strength=0),
    ],
)
@pytest.mark.parametrize("network", ["wild", "flat", "dark", "bright"])
def test_whatever_the_network_says_the_lattice_is_bounded_and_greys_rise(look: LookOptions, network: str) -> None:
    shape = (3, LATTICE_SIDE, LATTICE_SIDE, LATTICE_SIDE)
    value = {"wild": torch.rand(shape, generator=RANDOM) * 2 - 0.5, "flat": torch.full(shape, 0.4)}
    lattice = look_lattice(value.get(network, torch.full(shape, 9.0 if network == "bright" else -9.0)), look)
    assert lattice.min() >= 0
    assert lattice.max() <= pq_scalar(look.peak_nits)
    assert (lattice[:, 0, 0, 0] == 0).all()
    # 3 codes of 16 bits, limited range, for a step of a 10-bit ramp.
    assert grey(lattice).diff(dim=1).min() > 3 / (219 * 256) * 876 / (LATTICE_SIDE - 1)


def test_a_good_lattice_is_left_as_it_is() -> None:
    base = measured_pq(sdr_nodes().reshape(3, -1, LATTICE_SIDE)).reshape(3, *[LATTICE_SIDE] * 3)
    assert torch.allclose(look_lattice(base, LookOptions()), base, atol=1e-6)


def test_strength_zero_is_the_plain_conversion() -> None:
    nodes = sdr_nodes()
    plain = plain_pq(nodes.reshape(3, -1, LATTICE_SIDE)).view_as(nodes)
    lattice = look_lattice(torch.zeros_like(nodes), LookOptions(strength=0))
    assert torch.allclose(lattice, plain, atol=1e-6)


def test_grading_software_reads_and_applies_the_file_as_we_do(tmp_path: Path) -> None:
    colour = pytest.importorskip("colour")
    lattice = look_lattice(torch.rand(3, 9, 9, 9, generator=RANDOM), LookOptions())
    path = tmp_path / "scene.cube"
    path.write_text(cube_text(lattice, title='a "title"\nin two lines'))
    lut = colour.io.read_LUT_IridasCube(str(path))
    assert lut.name == "a 'title' in two lines"
    assert lut.table.shape == (9, 9, 9, 3)
    sdr = picture(8, 8)
    theirs = lut.apply(sdr.permute(1, 2, 0).numpy(), interpolator=colour.algebra.table_interpolation_trilinear)
    assert np.abs(theirs - read(lattice, sdr).permute(1, 2, 0).numpy()).max() < 1e-5
