"""A pupil initialised from its teacher: it looks at whole frames the way its teacher does.

ConditionNet is what takes the most pictures to learn, for what it says of a picture is one number among thousands of
its pixels; and it reads frames averaged down, so that it is the same whatever the network's scale and width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vsdslnet.errors import ArgumentError
from vsdslnet.network.dslnet import DSLNet

__all__ = ["inherit_conditions"]

_HALVES = ("tme_out", "cme_out", "sme")
"""Layers whose outputs are scales and, behind them, shifts."""


@torch.no_grad()
def inherit_conditions(pupil: DSLNet, teacher: DSLNet) -> None:
    """Give a network its teacher's ConditionNet; features that only the wider of both has stay as they were.

    ArgumentError where the two look at other frames, or at frames of another size.
    """
    for name in ("radius", "condition_pixels", "norm"):
        got, wanted = getattr(pupil.config, name), getattr(teacher.config, name)
        if got != wanted:
            raise ArgumentError(name, got, f"{wanted}, as the teacher has it")
    given = dict(teacher.stfm.condition.named_parameters())
    for name, parameter in pupil.stfm.condition.named_parameters():
        if name.startswith(_HALVES):
            for mine, its in zip(parameter.chunk(2), given[name].chunk(2), strict=True):
                _put(mine, its)
        else:
            _put(parameter, given[name])


def _put(mine: Tensor, its: Tensor) -> None:
    """Copy what both have; inputs that only this one has begin without effect on the outputs that are given."""
    shared = tuple(slice(min(a, b)) for a, b in zip(mine.shape, its.shape, strict=True))
    if mine.dim() > 1:
        mine[shared[0]] = 0
    mine[shared] = its[shared]
