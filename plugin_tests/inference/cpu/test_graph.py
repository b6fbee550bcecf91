"""Graphs of strips: every strip with its context, the same on any number of threads, and nothing held for nothing."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vsdslnet.inference.cpu.graph import Flow, Span
from vsdslnet.inference.cpu.lanes import in_lanes
from vsdslnet.network.side_by_side import Everywhere, on_this_thread


def frame(height: int) -> Tensor:
    """(1, 2, height, 3), channels-last, every value another one."""
    values = torch.arange(height * 6, dtype=torch.float32).view(1, height, 3, 2)
    return values.permute(0, 3, 1, 2)


def on_threads(count: int) -> Everywhere:
    """As many threads as asked for; they raise nothing."""

    def everywhere(work: Callable[[], None], most: int) -> None:
        threads = [threading.Thread(target=work) for _ in range(min(count, most))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return everywhere


@given(st.integers(1, 70), st.integers(1, 5), st.integers(0, 9), st.integers(1, 3))
def test_every_strip_comes_with_its_context_and_zeros_outside(
    height: int, eighths: int, radius: int, threads: int
) -> None:
    whole, flow = frame(height), Flow(height, 8 * eighths)
    around = torch.nn.functional.pad(whole, (0, 0, radius, radius))
    seen: list[Span] = []

    def check(span: Span, near: Tensor, strip: Tensor) -> Tensor:
        assert torch.equal(near, around[..., span.top : span.bottom + 2 * radius, :])
        assert torch.equal(strip, whole[..., span.top : span.bottom, :])
        seen.append(span)
        return strip

    source = flow.add(lambda span: whole[..., span.top : span.bottom, :])
    flow.add(check, source.near(radius), source)
    flow.run(on_threads(threads))
    assert sorted(seen) == flow.spans


@pytest.mark.parametrize("height", [1, 7, 40, 41])
def test_half_the_resolution_has_half_the_rows_of_context(height: int) -> None:
    half, flow = frame((height + 1) // 2), Flow(height, 8)
    around = torch.nn.functional.pad(half, (0, 0, 5, 5))
    seen: list[bool] = []

    def check(span: Span, near: Tensor) -> Tensor:
        top, bottom = span.top // 2, (span.bottom + 1) // 2
        seen.append(torch.equal(near, around[..., top : bottom + 10, :]))
        return near

    source = flow.add(lambda span: half[..., span.top // 2 : (span.bottom + 1) // 2, :], step=2)
    flow.add(check, source.near(5), step=2)
    flow.run(on_this_thread)
    assert seen == [True] * len(flow.spans)


def test_strips_live_no_longer_than_they_are_read() -> None:
    alive: list[weakref.ref[Tensor]] = []
    most = 0

    def source(_: Span) -> Tensor:
        nonlocal most
        most = max(most, sum(ref() is not None for ref in alive))
        strip = torch.zeros(1, 1, 8, 4)
        alive.append(weakref.ref(strip))
        return strip

    flow = Flow(200, 8)
    first = flow.add(source)
    second = flow.add(lambda _, near: near[..., 3:-3, :], first.near(3))
    flow.add(lambda _, strip, skip: strip + skip, second, first)
    flow.run(on_this_thread)
    # The strip before as context, and the one that waits for the next as its own.
    assert most == 2
    assert not any(ref() is not None for ref in alive)


@pytest.mark.parametrize("everywhere", [on_this_thread, in_lanes])
def test_nothing_outlives_a_run(everywhere: Everywhere) -> None:
    window = torch.zeros(1, 1, 800, 4)
    held = weakref.ref(window)

    def run(window: Tensor) -> None:
        flow = Flow(800, 8)
        source = flow.add(lambda span: window[..., slice(*span), :])
        flow.add(lambda _, near, strip: strip, source.near(3), source)
        flow.run(everywhere)

    gc.disable()
    try:
        run(window)
        del window
        assert held() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("everywhere", [on_this_thread, in_lanes])
def test_what_an_op_raises_ends_the_run(everywhere: Everywhere) -> None:
    def refuse(span: Span, strip: Tensor) -> Tensor:
        if span.top == 24:
            raise RuntimeError("no memory for row 24")
        return strip

    flow = Flow(800, 8)
    flow.add(refuse, flow.add(lambda _: torch.zeros(1, 1, 8, 1)))
    with pytest.raises(RuntimeError, match="row 24"):
        flow.run(everywhere)
