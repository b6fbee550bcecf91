"""The measured base with local contrast: what a network learns in the place of a simulated grade."""

from __future__ import annotations

import torch

from vsdslnet.color.measured import measured_pq
from vsdslnet.training.pointwise.local_base import LocalBase, local_base_pq, neighbourhood


def test_flat_fields_come_out_as_from_the_base() -> None:
    sdr = torch.tensor([0.2, 0.5, 0.7])[None, :, None, None].expand(1, 3, 40, 48)
    assert torch.allclose(local_base_pq(sdr), measured_pq(sdr), atol=2e-4)


def test_an_edge_stays_where_it_is() -> None:
    level = torch.full((1, 1, 64, 64), 0.1)
    level[..., 32:] = 0.9
    smooth = neighbourhood(level)
    assert (smooth - level).abs().max() < 0.06


def test_texture_keeps_the_contrast_of_the_sdr_picture() -> None:
    """Where the curve is steeper than a gain would be, a fine texture is not stretched with it."""
    generator = torch.Generator().manual_seed(0)
    texture = 0.75 + 0.02 * torch.randn((1, 1, 96, 96), generator=generator)
    sdr = texture.expand(1, 3, -1, -1)
    local, curve = (pq[..., 24:-24, 24:-24].std() for pq in (local_base_pq(sdr), measured_pq(sdr)))
    assert local < 0.75 * curve


def test_the_teacher_asks_for_it_outside_any_autocast() -> None:
    clean = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        taught = LocalBase()(clean, clean[:, None], [(0, 0, 1, 1)] * 2)
    assert taught.dtype == torch.float32
    assert torch.equal(taught, local_base_pq(clean))
