"""A fitted look keeps what its model promises over time: the checks run on every one before it is written.

A look is one curve for all pictures, so it moves nothing by itself; what the network moves it can make larger where the
curve is steep.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from vsdslnet.errors import ArgumentError, MediaError
from vsdslnet.inference.converter import Converter
from vsdslnet.inference.look import regrade
from vsdslnet.looks import Look
from vsdslnet.options import ConvertOptions
from vsdslnet.training.evaluation.self_checks import Method
from vsdslnet.training.evaluation.temporal_checks import PROMISES, over_time
from vsdslnet.training.fit.grade import Fitted, base_nodes_pq

__all__ = ["kept_steady", "softened"]

_SHARES = (1.0, 0.7, 0.5, 0.35, 0.2)


def kept_steady(fitted: Fitted, model: str) -> Fitted:
    """The look, or as much of it as holds the promises over time on a model's pictures; else MediaError.

    What the model itself does not hold counts as far as the look makes it worse. The network sees each frame once.
    """
    converter = Converter.load(ConvertOptions(model=model))
    if converter.base != fitted.look.base:
        raise ArgumentError("model", model, f"a model that corrects the base {fitted.look.base}", "name another")
    pictures: list[Tensor] = []
    said = ""

    def recorded(window: Tensor) -> Tensor:
        pictures.append(converter(window).pq)
        return pictures[-1]

    usual = over_time(recorded, converter.radius_frames, scenes=1)
    for share in _SHARES:
        look = softened(fitted.look, share)
        found = over_time(_replayed(pictures, look), converter.radius_frames, scenes=1)
        broken = [name for name, (_, bound, _) in PROMISES.items() if not found[name] <= max(bound, usual[name])]
        if not broken:
            return fitted if share == 1 else _warned(fitted._replace(look=look), share, said)
        words, bound, unit = PROMISES[broken[0]]
        said = f"{words}: {found[broken[0]]:.3g}, promised are {bound:g} {unit}"
    raise MediaError(f"the examples ask for a curve so steep that films would flicker ({said}): give more of them")


def _replayed(pictures: Sequence[Tensor], look: Look) -> Method:
    """What gives the network's pictures, in the order in which they were made, with a look."""
    left = iter(pictures)
    return lambda _: regrade(next(left), look)


def _warned(fitted: Fitted, share: float, said: str) -> Fitted:
    text = f"{share:.0%} of it is taken, as more would flicker ({said}); the figures above are those of all of it"
    return fitted._replace(warnings=[*fitted.warnings, text])


def softened(look: Look, share: float) -> Look:
    """A look between the base (0) and itself (1), in PQ."""
    if share == 1:
        return look
    nodes = (1 - share) * base_nodes_pq() + share * np.array(look.nodes_pq)
    rounded: list[float] = nodes.astype(np.float32).tolist()
    return look._replace(nodes_pq=tuple(rounded), saturation=look.saturation**share)
