"""Motion compensation on a device with Triton: some four hundred short launches a frame instead of thousands."""

from __future__ import annotations

import logging
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.color.primaries import BT709_LUMA
from vsdslnet.inference.cuda import triton_kernels
from vsdslnet.network.motion import arithmetic
from vsdslnet.network.motion.arithmetic import DEVICE, Arithmetic
from vsdslnet.network.motion.compensation import compensated_on_device

__all__ = ["choose_arithmetic"]

_log = logging.getLogger(__name__)

_TOLERANCE = 1e-4
"""How far windows may come out from what PyTorch's operators make of them, in the mean: a tenth of a 10-bit code."""

_PIXELS = 256
_COUNT_VALUES, _COUNT_CHUNKS = 256, 8
_SUM_PIXELS, _SUM_CHUNKS = 64, 16


def choose_arithmetic(window: Tensor) -> Arithmetic:
    """What to do it with on a device: Triton's kernels if they work and agree on a first window (2T+1, 3, H, W)."""
    if not triton_kernels.available():
        return DEVICE
    fused = _FusedArithmetic(_medians, DEVICE.products, DEVICE.solved)
    expected = compensated_on_device(window, DEVICE)
    try:
        error = float((compensated_on_device(window, fused) - expected).abs().mean())
    except torch.OutOfMemoryError:
        raise
    except Exception as problem:  # whatever a compiler may raise
        _log.warning("motion: triton does not work here: %s", str(problem).splitlines()[:1])
        return DEVICE
    if not error <= _TOLERANCE:
        _log.warning("motion: triton differs from PyTorch's by %g, is not used", error)
        return DEVICE
    return fused


class _FusedArithmetic(Arithmetic):
    """See :class:`~vsdslnet.network.motion.arithmetic.Arithmetic`; tensors are fp32."""

    def box(self, x: Tensor, radius: int) -> Tensor:
        """Three launches; sums of powers of two take more."""
        side = 2 * radius + 1
        padded = F.pad(x, (radius, radius, radius, radius), mode="replicate")
        return F.avg_pool2d(F.avg_pool2d(padded, (1, side), 1), (side, 1), 1)

    def luma(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        count, _, height, width = frames.shape
        rows, columns = size
        out = frames.new_empty(count, 1, rows, columns)
        window = max(-(-height // rows), -(-width // columns)) + 1
        _kernels().luma[(_programs(rows * columns), count)](
            frames.contiguous(), out, height, width, rows, columns, *BT709_LUMA, WINDOW=window, PIXELS=_PIXELS
        )
        return out

    def mismatch(self, here: Tensor, there: Tensor, motion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        difference, slope_x, slope_y = _mismatch(here, there, motion, camera=False)
        return difference, slope_x, slope_y

    def camera_step(self, here: Tensor, there: Tensor, camera: Tensor, terms: int) -> Tensor:
        kernels = _kernels()
        slopes = _mismatch(here, there, camera, camera=True)
        count, height, width = len(there), *here.shape[-2:]
        deviations = arithmetic.LUMA_DEVIATION * self.medians(slopes[0].flatten(1))
        programs = -(-height * width // (_SUM_PIXELS * _SUM_CHUNKS))
        sums = here.new_empty(count, programs, 8, 8, dtype=torch.float64)
        kernels.normal_equations[(programs, count)](
            slopes,
            deviations,
            sums,
            height,
            width,
            arithmetic.OUTLIER,
            arithmetic.LUMA_DEVIATION * arithmetic.LEAST_DEVIATION,
            TERMS=terms,
            PIXELS=_SUM_PIXELS,
            CHUNKS=_SUM_CHUNKS,
        )
        out = camera.clone()
        kernels.camera_step[(count,)](
            sums,
            camera,
            out,
            programs,
            arithmetic.ROUND,
            arithmetic.RIDGE_SHARE,
            arithmetic.LEAST_RIDGE,
            arithmetic.MOST_CAMERA_STEP_PX,
            TERMS=terms,
            num_warps=1,
        )
        return out

    def warped(self, frame: Tensor, field: Tensor) -> Tensor:
        height, width = frame.shape[-2:]
        frame, field, out = frame.contiguous(), field.contiguous(), torch.empty_like(frame)
        _kernels().warped[(_programs(height * width),)](
            frame, field, out, height, width, *field.shape[-2:], PIXELS=_PIXELS
        )
        return out

    def hold_(self, frame: Tensor, centre: Tensor) -> None:
        kernels = _kernels()
        height, width = frame.shape[-2:]
        programs = (_programs(height * width),)
        most, other = frame.new_empty(2, height, width)
        kernels.otherness[programs](frame, centre, most, height, width, PIXELS=_PIXELS)
        kernels.averaged[programs](most, other, height, width, PIXELS=_PIXELS)
        step = arithmetic.NOISE_STEP_PX
        noise = self.medians(other[::step, ::step].reshape(1, -1))
        kernels.hold[programs](
            frame,
            centre,
            other,
            noise,
            height * width,
            arithmetic.MOST_NOISE,
            arithmetic.OTHER_NOISE,
            arithmetic.LEAST_OTHER,
            PIXELS=_PIXELS,
        )


def _mismatch(here: Tensor, there: Tensor, motion: Tensor, *, camera: bool) -> Tensor:
    """The difference and both slopes: (3, K, 1, h, w)."""
    height, width = here.shape[-2:]
    out = there.new_empty(3, *there.shape)
    _kernels().mismatch[(_programs(height * width), len(there))](
        here.contiguous(),
        there.contiguous(),
        motion.contiguous(),
        out,
        height,
        width,
        CAMERA=camera,
        PIXELS=_PIXELS,
    )
    return out


def _medians(values: Tensor) -> Tensor:
    """(Lower) medians (K,) of absolute values (K, n), exact: numbers are ordered as their bits are, 5 at a time."""
    kernels = _kernels()
    values = values.contiguous()
    rows, count = values.shape
    rank = (count - 1) // 2
    places = kernels.PLACES.value
    counts = values.new_zeros(rows, places, kernels.DIGITS.value, dtype=torch.int32)
    grid = (-(-count // (_COUNT_VALUES * _COUNT_CHUNKS)), rows)
    for place in range(places):
        kernels.count_digits[grid](values, counts, count, rank, PLACE=place, VALUES=_COUNT_VALUES, CHUNKS=_COUNT_CHUNKS)
    out = values.new_empty(rows)
    kernels.median_of_digits[(rows,)](counts, out, rank, num_warps=1)
    return out


def _programs(pixels: int) -> int:
    return -(-pixels // _PIXELS)


def _kernels() -> ModuleType:
    return triton_kernels.load_motion()
