"""A converter over time: no flicker, nothing pumps. On synthetic clips, with the trained weights."""

from __future__ import annotations

from plugin_tests.reliability.figures import Figure, Options, at_most
from vsdslnet.inference.converter import Converter
from vsdslnet.options import ConvertOptions
from vsdslnet.training.evaluation.self_checks import Method
from vsdslnet.training.evaluation.temporal_checks import PROMISES, over_time

__all__ = ["measure", "of_method"]


def measure(options: Options) -> list[Figure]:
    """The promises, of the converter a user gets with this model and look."""
    converter = Converter.load(ConvertOptions(model=options.model, look=options.look))
    scenes, size = (1, (32, 96)) if options.quick else (20, None)
    return of_method(lambda window: converter(window).pq, converter.radius_frames, scenes=scenes, size=size)


def of_method(
    method: Method, radius_frames: int, *, scenes: int = 3, size: tuple[int, int] | None = None
) -> list[Figure]:
    """The promises, of any function from windows to pictures."""
    found = over_time(method, radius_frames, scenes=scenes, size=size)
    return [at_most(words, found[name], bound, unit) for name, (words, bound, unit) in PROMISES.items()]
