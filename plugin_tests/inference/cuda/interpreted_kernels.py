"""Triton's kernels on its interpreter, against PyTorch's operators; test_kernels.py runs this in another process."""

from __future__ import annotations

import pytest
import torch

from vsdslnet.inference.cuda.deformable import FusedForm
from vsdslnet.inference.cuda.depthwise import ToeplitzForm
from vsdslnet.inference.cuda.modulation import FusedModulation, StripModulation
from vsdslnet.network.blocks import DepthwiseConv
from vsdslnet.network.dmfa import DeformableConv
from vsdslnet.network.stfm import ModulationBranch, ModulationVectors

triton = pytest.importorskip("triton")

HALF = 2e-3
"""Of values up to 1, what rounding them to fp16 leaves."""


@pytest.mark.parametrize(("channels", "kernel", "height", "width"), [(5, 17, 37, 50), (2, 7, 34, 140), (3, 3, 1, 9)])
@pytest.mark.parametrize("out_rows", [2, 4])
@torch.inference_mode()
def test_toeplitz_products_are_the_convolution(
    channels: int, kernel: int, height: int, width: int, out_rows: int
) -> None:
    torch.manual_seed(0)
    conv = DepthwiseConv(channels, kernel)
    x = torch.rand(1, channels, height, width).sub(0.3).contiguous(memory_format=torch.channels_last)
    form = ToeplitzForm(conv.weight.half(), conv.bias.half(), out_rows)  # type: ignore[union-attr]
    for relu in (False, True):
        expected = conv(x.relu() if relu else x)
        expected = expected.relu() if relu else expected
        given = form(x, relu_in=relu, relu_out=relu)
        assert given.dtype == torch.float16
        assert given.is_contiguous(memory_format=torch.channels_last)
        assert (given - expected).abs().max() < HALF
        assert expected.std() > 0.01


@pytest.mark.parametrize(("frames", "features"), [(3, 16), (1, 20)])
@torch.inference_mode()
def test_sampling_in_one_kernel_is_the_deformable_convolution(frames: int, features: int) -> None:
    torch.manual_seed(0)
    conv = DeformableConv(frames, features)
    torch.nn.init.normal_(conv.bias)
    picture = torch.rand(1, 3 * frames, 13, 17)
    # Some point beyond the borders, some are whole numbers.
    offsets = torch.randn(1, frames * 18, 13, 17) * 6
    offsets[..., ::3] = offsets[..., ::3].round()
    expected = conv(picture, offsets)
    assert (FusedForm(conv)(picture, offsets) - expected).abs().max() < 1e-5
    assert (FusedForm(conv)(picture, offsets * 100) - conv(picture, (offsets * 100).clamp(-41, 41))).abs().max() < 1e-5


@pytest.mark.parametrize("box", [(0.0, 0.0, 1.0, 1.0), (0.0, 0.25, 1.0, 0.75)], ids=str)
@torch.inference_mode()
def test_modulation_in_one_kernel_is_the_branch(box: tuple[float, float, float, float]) -> None:
    torch.manual_seed(0)
    branch = ModulationBranch(20)
    one = torch.cat([torch.ones(1, 20), torch.zeros(1, 20)], dim=1)
    vectors = ModulationVectors(
        one + 0.3 * torch.randn(1, 40), one + 0.3 * torch.randn(1, 40), one[..., None, None] + torch.randn(1, 40, 5, 4)
    )
    aligned = torch.randn(1, 20, 22, 19).contiguous(memory_format=torch.channels_last)
    expected = StripModulation(branch, torch.float32)(aligned, vectors, box)
    given = FusedModulation(branch, torch.float32)(aligned, vectors, box)
    assert (given - expected).abs().max() < 2e-5 * expected.abs().max()
    assert expected.std() > 0.1
