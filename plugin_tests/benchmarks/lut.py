"""3D LUTs: how fast they are applied, how long one takes, and how far it is from the full model."""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from plugin_tests.benchmarks.frames import frames
from plugin_tests.benchmarks.judge import PLACES
from plugin_tests.benchmarks.one import de_itp
from plugin_tests.benchmarks.pipeline import Pipeline, seconds_a_frame
from vsdslnet.color.sdr_to_hdr import BASE_PEAK_NITS
from vsdslnet.color.transfer import pq_scalar
from vsdslnet.inference.backends import create_backend
from vsdslnet.inference.lut.distil import distil
from vsdslnet.inference.lut.key_size import small_size
from vsdslnet.inference.lut.lattice import look_lattice
from vsdslnet.options import BackendOptions, ConvertOptions
from vsdslnet.weights import find, lut_of, read

__all__ = ["lut_part"]

LUT_FRAMES = 40
LUT_SIZES = ((1920, 1080), (3840, 2160))
LUT_ERROR_SIZE = (960, 540)


def lut_part(arguments: argparse.Namespace) -> dict[str, float]:
    """LUTs: frames a second through vspipe, seconds for one, and their distance to the full model."""
    fps = {}
    for size in LUT_SIZES:
        lut = Pipeline(arguments.clip, size, f"{arguments.model}-lut")
        # From one key frame to the next no LUT is made: the first two frames made both.
        fps[size] = 1 / seconds_a_frame(lut, frames=LUT_FRAMES, warm_up=2)
        print(f"{lut.model}, {size[0]}x{size[1]}: {fps[size]:.1f} fps through vspipe", flush=True)
    seconds, errors = lut_quality(arguments)
    at = f"{LUT_ERROR_SIZE[0]}x{LUT_ERROR_SIZE[1]}"
    print(f"a LUT takes {seconds:.2f} s; mean dE_ITP to the full model at {at}:", *(f"{each:.2f}" for each in errors))
    return {"lut_fps": fps[LUT_SIZES[0]], "lut_seconds": seconds, "lut_de_itp": max(errors)}


def lut_quality(arguments: argparse.Namespace) -> tuple[float, list[float]]:
    """Seconds for a LUT (of a small window, whatever the clip's size), and each place's distance to the full model."""
    settings = ConvertOptions(model=lut_of(arguments.model))
    backend = create_backend(BackendOptions(model=arguments.model))
    scale = read(find(settings.model)).config.scale
    small_width, small_height = small_size(*LUT_ERROR_SIZE, scale=scale)
    seconds, errors = [], []
    for place in PLACES:
        window = frames(arguments.clip, backend.radius_frames * 2 + 1, *LUT_ERROR_SIZE, place)
        small = torch.nn.functional.interpolate(window, size=(small_height, small_width), mode="area")
        start = time.perf_counter()
        lattice = look_lattice(distil(small, settings.part(BackendOptions)), settings)
        seconds.append(time.perf_counter() - start)
        grid = 2 * window[backend.radius_frames].permute(1, 2, 0)[None, None] - 1
        pq = torch.nn.functional.grid_sample(lattice[None], grid, align_corners=True)[0, :, 0]
        errors.append(de_itp(pq, backend(window).clamp(0, pq_scalar(BASE_PEAK_NITS))))
    # The first one compiles kernels as well.
    return statistics.median(seconds), errors
