"""A converter over time: no flicker, nothing pumps. On synthetic clips, with the trained weights."""

from __future__ import annotations

from functools import partial

from plugin_tests.reliability.figures import Figure, Options, at_most
from vsdslnet.inference.converter import Converter
from vsdslnet.options import ConvertOptions
from vsdslnet.training.evaluation import temporal_checks
from vsdslnet.training.evaluation.self_checks import Method

__all__ = ["BOUNDS", "measure", "of_method"]

CODES = "codes of 10 bits"

# What a viewer sees of the whole frame's statistics; peers reach 59 codes when an object enters.
BOUNDS: dict[str, tuple[str, float, str]] = {
    "noise_ratio_to_plain": ("still scene under noise, deviation over time", 1.5, "x plain conversion's"),
    "untouched_mean_codes": ("object enters, untouched side shifts, mean", 4, CODES),
    "untouched_max_codes": ("object enters, untouched side shifts, any pixel", 8, CODES),
    "beside_flash_mean_codes": ("flash, frames beside it shift, mean", 4, CODES),
    "beside_flash_max_codes": ("flash, frames beside it shift, any pixel", 8, CODES),
    "fade_rise_mean_codes": ("fade to black, rise on the way, mean", 0.5, CODES),
    # A pixel may follow the frame as it may when something enters; the picture as a whole only falls.
    "fade_rise_max_codes": ("fade to black, rise on the way, any pixel", 8, CODES),
    "fade_step_ratio": ("fade to black, largest step of the mean", 2.5, "x plain conversion's"),
}
"""By the name of what ``temporal_checks`` measures: words, bound, unit."""


def measure(options: Options) -> list[Figure]:
    """The promises, of the converter a user gets with this model."""
    converter = Converter.load(ConvertOptions(model=options.model))
    scenes = 3 if options.quick else 20
    return of_method(lambda window: converter(window).pq, converter.radius_frames, scenes=scenes)


def of_method(method: Method, radius_frames: int, *, scenes: int = 3) -> list[Figure]:
    """The promises, of any function from windows to pictures."""
    found: dict[str, float] = {}
    for check in (
        temporal_checks.static_noise,
        partial(temporal_checks.entering_object, scenes=scenes),
        temporal_checks.flash,
        temporal_checks.fade,
    ):
        found |= check(method, radius_frames)
    return [at_most(words, found[name], bound, unit) for name, (words, bound, unit) in BOUNDS.items()]
