"""Streams of rows: the strips of a frame with their context, and nothing held that is no longer needed."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vsdslnet.inference.rows import each, padded, strips


def frame(height: int) -> Tensor:
    """(1, 2, height, 3), channels-last, every value another one."""
    values = torch.arange(height * 6, dtype=torch.float32).view(1, height, 3, 2)
    return values.permute(0, 3, 1, 2)


@given(st.integers(1, 70), st.integers(1, 20), st.integers(1, 9))
def test_every_strip_comes_with_its_context_and_zeros_outside(height: int, rows: int, radius: int) -> None:
    whole = frame(height)
    around = torch.nn.functional.pad(whole, (0, 0, radius, radius))
    cuts = list(strips(height, rows))
    got = list(padded((whole[..., top:bottom, :] for top, bottom in cuts), radius))
    assert len(got) == len(cuts)
    for strip, (top, bottom) in zip(got, cuts, strict=True):
        assert torch.equal(strip, around[..., top : bottom + 2 * radius, :])


def test_a_layer_lets_its_strip_go_before_it_wants_the_next() -> None:
    alive: list[weakref.ref[Tensor]] = []
    most = 0

    def source() -> Iterator[Tensor]:
        nonlocal most
        for _ in range(8):
            most = max(most, sum(ref() is not None for ref in alive))
            strip = torch.zeros(1, 1, 4, 4)
            alive.append(weakref.ref(strip))
            yield strip
            del strip

    for strip in each(each(source(), torch.relu), torch.relu):
        del strip
    # The source's own last strip goes when the name is deleted; nothing of older strips may be left.
    assert most == 0
