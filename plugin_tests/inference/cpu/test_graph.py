"""Graphs of strips: every strip with its halo, the same on any number of threads, and nothing held for nothing."""

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

from vsdslnet.inference.cpu.graph import Span, StripGraph
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
    whole, graph = frame(height), StripGraph(height, 8 * eighths)
    around = torch.nn.functional.pad(whole, (0, 0, radius, radius))
    seen: list[Span] = []

    def check(span: Span, haloed: Tensor, strip: Tensor) -> Tensor:
        assert torch.equal(haloed, around[..., span.top : span.bottom + 2 * radius, :])
        assert torch.equal(strip, whole[..., span.top : span.bottom, :])
        seen.append(span)
        return strip

    source = graph.add(lambda span: whole[..., span.top : span.bottom, :])
    graph.add(check, source.with_halo(radius), source)
    graph.run(on_threads(threads))
    assert sorted(seen) == graph.spans


@pytest.mark.parametrize("height", [1, 7, 40, 41])
def test_half_the_resolution_has_half_the_rows_of_context(height: int) -> None:
    half, graph = frame((height + 1) // 2), StripGraph(height, 8)
    around = torch.nn.functional.pad(half, (0, 0, 5, 5))
    seen: list[bool] = []

    def check(span: Span, haloed: Tensor) -> Tensor:
        top, bottom = span.top // 2, (span.bottom + 1) // 2
        seen.append(torch.equal(haloed, around[..., top : bottom + 10, :]))
        return haloed

    source = graph.add(lambda span: half[..., span.top // 2 : (span.bottom + 1) // 2, :], step=2)
    graph.add(check, source.with_halo(5), step=2)
    graph.run(on_this_thread)
    assert seen == [True] * len(graph.spans)


def test_strips_live_no_longer_than_they_are_read() -> None:
    alive: list[weakref.ref[Tensor]] = []
    most = 0

    def source(_: Span) -> Tensor:
        nonlocal most
        most = max(most, sum(ref() is not None for ref in alive))
        strip = torch.zeros(1, 1, 8, 4)
        alive.append(weakref.ref(strip))
        return strip

    graph = StripGraph(200, 8)
    first = graph.add(source)
    second = graph.add(lambda _, haloed: haloed[..., 3:-3, :], first.with_halo(3))
    graph.add(lambda _, strip, skip: strip + skip, second, first)
    graph.run(on_this_thread)
    # The strip before as context, and the one that waits for the next as its own.
    assert most == 2
    assert not any(ref() is not None for ref in alive)


@pytest.mark.parametrize("everywhere", [on_this_thread, in_lanes])
def test_nothing_outlives_a_run(everywhere: Everywhere) -> None:
    window = torch.zeros(1, 1, 800, 4)
    held = weakref.ref(window)

    def run(window: Tensor) -> None:
        graph = StripGraph(800, 8)
        source = graph.add(lambda span: window[..., slice(*span), :])
        graph.add(lambda _, haloed, strip: strip, source.with_halo(3), source)
        graph.run(everywhere)

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

    graph = StripGraph(800, 8)
    graph.add(refuse, graph.add(lambda _: torch.zeros(1, 1, 8, 1)))
    with pytest.raises(RuntimeError, match="row 24"):
        graph.run(everywhere)
