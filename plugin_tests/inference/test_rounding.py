"""Weights rounded for a target: near the given ones, with the sums of their kernels kept."""

from __future__ import annotations

import pytest
import torch

from vsdslnet.inference.cpu.strip_layers import rounded

BF16_STEP = 2.0**-8
"""Between neighbouring bf16 numbers, relative to the larger power of two below them."""


@pytest.mark.parametrize("shape", [(8, 6, 3, 3), (8, 1, 17, 17)], ids=str)
def test_kernels_keep_their_sums(shape: tuple[int, ...]) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    result = rounded(weight, torch.bfloat16)
    assert torch.equal(result, result.bfloat16().float())
    assert (result - weight).abs().max() <= 2 * BF16_STEP * weight.abs().max()
    off, plainly_off = ((each - weight).sum(dim=(-2, -1)).abs().mean() for each in (result, weight.bfloat16().float()))
    assert off < plainly_off / 5


def test_its_own_precision_changes_nothing() -> None:
    weight = torch.randn(2, 3, 3, 3)
    assert torch.equal(rounded(weight, torch.float32), weight)
