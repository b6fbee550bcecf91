"""Triton's kernels on its interpreter, against PyTorch's operators; test_kernels.py runs this in another process."""

from __future__ import annotations

import sys

import pytest
import torch

from vsdslnet.inference.cuda import motion
from vsdslnet.inference.cuda.convolution import DeviceConv
from vsdslnet.inference.cuda.deformable import FusedForm
from vsdslnet.inference.cuda.depthwise import ToeplitzForm
from vsdslnet.inference.cuda.modulation import FusedModulation, StripModulation
from vsdslnet.network.blocks import DepthwiseConv
from vsdslnet.network.dmfa import DeformableConv
from vsdslnet.network.motion.arithmetic import DEVICE, Arithmetic
from vsdslnet.network.motion.compensation import compensated_on_device
from vsdslnet.network.stfm import ModulationBranch, ModulationVectors

triton = pytest.importorskip("triton")

HALF = 2e-3
"""Of values up to 1, what rounding them to fp16 leaves."""


@pytest.mark.parametrize(
    ("channels", "kernel", "height", "width", "out_rows", "relu_in", "relu_out"),
    [(1, 17, 20, 130, 4, True, True), (2, 7, 9, 20, 2, False, False), (3, 3, 1, 9, 4, True, False)],
)
@torch.inference_mode()
def test_toeplitz_products_are_the_convolution(
    channels: int, kernel: int, height: int, width: int, out_rows: int, relu_in: bool, relu_out: bool
) -> None:
    torch.manual_seed(0)
    conv = DepthwiseConv(channels, kernel)
    x = torch.rand(1, channels, height, width).sub(0.3).contiguous(memory_format=torch.channels_last)
    form = ToeplitzForm(conv.weight.half(), conv.bias.half(), out_rows)  # type: ignore[union-attr]
    expected = conv(x.relu() if relu_in else x)
    assert expected.std() > 0.01
    assert (expected < -HALF).any() and (expected > HALF).any(), "a ReLU more or less would be seen"
    given = form(x, relu_in=relu_in, relu_out=relu_out)
    assert given.dtype == torch.float16
    assert given.is_contiguous(memory_format=torch.channels_last)
    assert (given - (expected.relu() if relu_out else expected)).abs().max() < HALF


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


@pytest.mark.parametrize("with_sum", [False, True])
@torch.inference_mode()
def test_a_convolution_is_finished_in_one_pass(with_sum: bool) -> None:
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(5, 20, 3, padding=1)
    layer = DeviceConv(conv, torch.float32)
    x = torch.randn(1, 5, 11, 9).contiguous(memory_format=torch.channels_last)
    add = torch.randn(1, 20, 11, 9).contiguous(memory_format=torch.channels_last) if with_sum else None
    expected = torch.nn.functional.leaky_relu(conv(x) + (0 if add is None else add), 0.1)
    for form in layer.forms:
        layer.chosen = form
        given = layer(x, add=add, slope=0.1)
        assert (given - expected).abs().max() < 1e-6
        assert given.is_contiguous(memory_format=torch.channels_last)


@pytest.fixture
def fused() -> Arithmetic:
    return motion._FusedArithmetic(motion._medians, DEVICE.products, DEVICE.solved)


@pytest.mark.parametrize("count", [1, 256, 2500])
def test_medians_are_exact(fused: Arithmetic, count: int) -> None:
    values = torch.randn(2, count, generator=torch.Generator().manual_seed(count))
    values[1, ::2] = 0
    assert torch.equal(fused.medians(values), values.abs().median(dim=1).values)


def test_fields_and_pictures_are_those_of_operators(fused: Arithmetic) -> None:
    torch.manual_seed(0)
    frames = torch.rand(2, 3, 33, 45)
    for size in ((33, 45), (11, 15), (16, 22)):
        assert (fused.luma(frames, size) - DEVICE.luma(frames, size)).abs().max() < 1e-6
    assert (fused.box(frames, 4) - DEVICE.box(frames, 4)).abs().max() < 1e-6
    field = torch.randn(1, 2, 11, 15) * 2
    assert (fused.warped(frames[:1], field) - DEVICE.warped(frames[:1], field)).abs().max() < 2e-5
    here, there = frames[0].clone(), frames[0].clone()
    centre = frames[0] + 0.002 * torch.randn(3, 33, 45)
    centre[:, 10:20, 10:30] += 0.3
    fused.hold_(here, centre)
    DEVICE.hold_(there, centre)
    assert (here - there).abs().max() < 1e-6
    assert (there - frames[0]).abs().max() > 0.2


def test_the_camera_moves_as_operators_move_it(fused: Arithmetic) -> None:
    torch.manual_seed(0)
    here = torch.nn.functional.avg_pool2d(torch.rand(1, 1, 20, 26), 9, 1, 4, count_include_pad=False)
    there = torch.cat([here.roll(1, 3), here.roll(1, 2)])
    for given, expected in zip(
        fused.mismatch(here, there, torch.full((2, 2, 20, 26), 0.7)),
        DEVICE.mismatch(here, there, torch.full((2, 2, 20, 26), 0.7)),
        strict=True,
    ):
        assert (given - expected).abs().max() < 1e-5
    for terms in (1, 3):
        camera = torch.randn(2, 2, 3) * 0.1
        expected = DEVICE.camera_step(here, there, camera, terms)
        assert (fused.camera_step(here, there, camera, terms) - expected).abs().max() < 1e-4
        assert (expected - camera).abs().max() > 0.1


def test_windows_are_compensated_alike(fused: Arithmetic) -> None:
    frames = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 6), (16, 22), mode="bilinear")
    window = torch.cat([frames.roll(shift, dims=-1) for shift in (-2, 0, 2)])
    expected = compensated_on_device(window)
    assert (compensated_on_device(window, fused) - expected).abs().max() < 1e-4
    assert (expected - window).abs().max() > 0.1


if __name__ == "__main__":
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", __file__]))
