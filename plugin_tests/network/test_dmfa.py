"""DMFA: the deformable convolution against torchvision's, the dynamic kernel, the offsets."""

from __future__ import annotations

import pytest
import torch

from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dmfa import DMFA, LDOE, MAX_OFFSET_PX, DeformableConv, DynamicKernel


@pytest.mark.parametrize("frames", [1, 3, 5])
@pytest.mark.parametrize("size", [(1, 1), (2, 7), (23, 18)])
@pytest.mark.parametrize("reach_px", [0.0, 0.7, 30.0])
def test_deformable_conv_equals_torchvision(frames: int, size: tuple[int, int], reach_px: float) -> None:
    ops = pytest.importorskip("torchvision.ops")
    torch.manual_seed(0)
    conv = DeformableConv(frames, 6)
    torch.nn.init.normal_(conv.bias)
    x = torch.rand(2, 3 * frames, *size)
    offsets = (torch.rand(2, frames * 18, *size) * 2 - 1) * reach_px
    with torch.no_grad():
        expected = ops.deform_conv2d(x, offsets, conv.weight, conv.bias, padding=1)
        assert (conv(x, offsets) - expected).abs().max() < 2e-5


def test_deformable_conv_gradients_equal_torchvision() -> None:
    ops = pytest.importorskip("torchvision.ops")
    torch.manual_seed(0)
    conv = DeformableConv(3, 4)
    x = torch.rand(1, 9, 12, 11)
    offsets = torch.randn(1, 54, 12, 11)
    gradients = []
    for run in (conv, lambda a, b: ops.deform_conv2d(a, b, conv.weight, conv.bias, padding=1)):
        inputs = (x.clone().requires_grad_(), offsets.clone().requires_grad_())
        conv.zero_grad()
        run(*inputs).square().sum().backward()
        gradients.append([inputs[0].grad, inputs[1].grad, conv.weight.grad.clone()])  # type: ignore[union-attr]
    for ours, theirs in zip(*gradients, strict=True):
        assert (ours - theirs).abs().max() < 1e-3 * max(1.0, float(theirs.abs().max()))


def test_without_offsets_it_is_an_ordinary_convolution() -> None:
    torch.manual_seed(0)
    conv = DeformableConv(2, 5)
    x = torch.rand(2, 6, 9, 13)
    ordinary = torch.nn.functional.conv2d(x, conv.weight, conv.bias, padding=1)
    with torch.no_grad():
        assert (conv(x, torch.zeros(2, 36, 9, 13)) - ordinary).abs().max() < 1e-5


def test_an_offset_moves_one_frame_only() -> None:
    """Frame 1 shifted by a whole pixel is undone by an offset of that pixel in its own group."""
    torch.manual_seed(0)
    conv = DeformableConv(2, 4)
    still = torch.rand(1, 6, 16, 16)
    moved = still.clone()
    moved[:, 3:] = still[:, 3:].roll(1, dims=-1)
    offsets = torch.zeros(1, 36, 16, 16)
    offsets[:, 19::2] = 1  # x of every tap of frame 1
    with torch.no_grad():
        aligned = conv(moved, offsets)[..., 2:-2, 2:-2]
        expected = conv(still, torch.zeros(1, 36, 16, 16))[..., 2:-2, 2:-2]
    assert (aligned - expected).abs().max() < 1e-5


def test_dynamic_kernel_starts_near_the_identity() -> None:
    torch.manual_seed(0)
    dynamic = DynamicKernel(8, 7)
    x = torch.rand(2, 8, 15, 14)
    with torch.no_grad():
        assert (dynamic.apply_kernel(x, dynamic(x)) - x).abs().max() < 0.3


def test_dynamic_kernel_convolves_each_sample_with_its_own() -> None:
    torch.manual_seed(0)
    dynamic = DynamicKernel(4, 3)
    x, kernels = torch.rand(3, 4, 9, 8), torch.rand(3, 4, 3, 3)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        with torch.no_grad():
            together = dynamic.apply_kernel(x.contiguous(memory_format=memory_format), kernels)
        for i in range(3):
            alone = torch.nn.functional.conv2d(x[i : i + 1], kernels[i][:, None], padding=1, groups=4)
            assert (together[i : i + 1] - alone).abs().max() < 1e-5


def test_offsets_start_at_zero_and_never_leave_their_bound() -> None:
    torch.manual_seed(0)
    ldoe = LDOE(DSLNetConfig(features=8, kernel=5, dynamic_kernel=3))
    encoded = ldoe.encode(torch.rand(1, 15, 20, 21))
    assert encoded.shape == (1, 8, 10, 11)
    assert torch.equal(ldoe.offsets(encoded, ldoe.kernels(encoded), (20, 21)), torch.zeros(1, 90, 20, 21))
    assert ldoe.offset is not None
    torch.nn.init.normal_(ldoe.offset.weight, std=1e4)
    wild = ldoe.offsets(encoded, ldoe.kernels(encoded), (20, 21))
    assert wild.abs().max() == MAX_OFFSET_PX
    assert wild.min() == -MAX_OFFSET_PX


def test_the_papers_letter_has_no_negative_offset() -> None:
    torch.manual_seed(0)
    ldoe = LDOE(DSLNetConfig(features=8, kernel=5, dynamic_kernel=3, offset_conv=False))
    encoded = ldoe.encode(torch.rand(1, 15, 20, 21))
    offsets = ldoe.offsets(encoded, ldoe.kernels(encoded), (20, 21))
    assert offsets.shape == (1, 90, 20, 21)
    assert offsets.min() >= 0
    assert offsets.max() > 0


def test_given_kernels_replace_the_crops_own() -> None:
    torch.manual_seed(0)
    dmfa = DMFA(DSLNetConfig(features=8, kernel=5, dynamic_kernel=3))
    torch.nn.init.normal_(dmfa.ldoe.offset.weight)  # type: ignore[union-attr]
    frames = torch.rand(1, 15, 16, 16)
    with torch.no_grad():
        own = dmfa(frames)
        assert torch.equal(dmfa(frames, dmfa.ldoe.kernels(dmfa.ldoe.encode(frames))), own)
        assert not torch.equal(dmfa(frames, torch.rand(1, 8, 3, 3)), own)
