"""The trained network on synthetic frames: grey ramps, black, white, and frames that are all one colour."""

from __future__ import annotations

import torch
from torch import Tensor

from plugin_tests.reliability.figures import Figure, Options, at_most, exactly
from vsdslnet.color.bases import BASES
from vsdslnet.color.transfer import GRAPHICS_WHITE_NITS, pq_scalar
from vsdslnet.inference.converter import Converter
from vsdslnet.options import ConvertOptions
from vsdslnet.training.evaluation.self_checks import black, colored_frames, grey_ramp_flat, still, white

__all__ = ["measure"]

PEAK_NITS = 1000.0
RAMPS = {"8-bit": 256, "10-bit": 1024, "float": 1500}
QUICK_LEVELS = 48
MOST_STOPS, MOST_DE_ITP = 0.5, 30.0
"""What is learnt may say of frames in which everything has one pure hue, against the formula under the network."""
_FALL_CODES = 0.05
"""Of a 10-bit code: what fp32 leaves of two equal levels."""


def measure(options: Options) -> list[Figure]:
    """The promises of the converter that a user gets with this model."""
    converter = Converter.load(ConvertOptions(model=options.model, peak_nits=PEAK_NITS))
    radius = converter.radius_frames
    lowest, highest = torch.tensor(1.0), torch.tensor(0.0)

    def convert(window: Tensor) -> Tensor:
        nonlocal lowest, highest
        pq = converter(window).pq
        lowest, highest = torch.minimum(lowest, pq.min()), torch.maximum(highest, pq.max())
        return pq

    figures = []
    for name, levels in RAMPS.items():
        count = min(levels, QUICK_LEVELS) if options.quick else levels
        fall = grey_ramp_flat(convert, radius, levels=count)["largest_fall_codes"]
        words = f"grey ramp of {count} flat frames ({name}), largest fall of luminance"
        figures.append(at_most(words, fall, _FALL_CODES, "of a 10-bit code"))
        if options.quick:
            break
    generator = torch.Generator().manual_seed(3)
    for scale in (0.5, 1.0, 4.0):  # also far outside 0..1
        convert(still((torch.rand((3, 48, 64), generator=generator) - 0.5) * scale + 0.5, radius))
    colors = colored_frames(convert, radius, BASES[converter.base])
    white_nits = white(convert, radius)["white_nits"]
    within = GRAPHICS_WHITE_NITS <= white_nits <= PEAK_NITS * 1.0001
    return [
        *figures,
        at_most("flat black", black(convert, radius)["black_nits"], 0.01, "cd/m2"),
        at_most(
            "frames all in one hue, luminance against the base under it", colors["most_stops"], MOST_STOPS, "stops"
        ),
        at_most(
            "frames all in one hue, mean dE_ITP to the base under it", colors["most_de_itp"], MOST_DE_ITP, "dE_ITP"
        ),
        Figure(
            promise="flat white",
            bound=f"{GRAPHICS_WHITE_NITS:g} to {PEAK_NITS:g} cd/m2",
            measured=f"{white_nits:.0f} cd/m2",
            kept=within,
        ),
        exactly("values below 0 in any of these", int(lowest < 0), 0),
        at_most("brightest PQ of any of these", float(highest), round(pq_scalar(PEAK_NITS) + 1e-6, 6), "PQ"),
    ]
