"""Threads of a frame: each computes alone, frames share them, and nobody else's number of threads changes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from vsdslnet.inference.cpu.lanes import in_lanes, on_backend_thread
from vsdslnet.network.side_by_side import each, on_this_thread


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def numbers_in_lanes(most: int = 99) -> list[int]:
    """How many threads the operations of each lane have."""
    seen: list[int] = []
    in_lanes(lambda: seen.append(torch.get_num_threads()), most)
    return seen


def on_a_new_thread() -> int:
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return seen[0]


@pytest.mark.parametrize("threads", [1, 2, 3, 5, 6, 8, 16])
def test_there_are_as_many_lanes_as_threads_and_each_computes_alone(threads: int) -> None:
    torch.set_num_threads(threads)
    assert numbers_in_lanes() == [1] * threads
    assert on_backend_thread(numbers_in_lanes) == [1] * threads
    assert torch.get_num_threads() == threads
    assert on_a_new_thread() == threads


def test_there_are_no_more_lanes_than_asked_for() -> None:
    torch.set_num_threads(6)
    assert numbers_in_lanes(4) == [1] * 4
    assert on_backend_thread(lambda: numbers_in_lanes(1)) == [1]


def test_what_an_backend_does_beside_its_lanes_has_one_thread_as_well() -> None:
    torch.set_num_threads(4)
    assert on_backend_thread(torch.get_num_threads) == 1
    assert on_backend_thread(lambda: on_backend_thread(numbers_in_lanes)) == [1] * 4


@pytest.mark.parametrize(("threads", "frames", "lanes"), [(2, 1, 2), (2, 2, 1), (2, 3, 1), (6, 2, 3), (16, 4, 4)])
def test_frames_under_way_share_the_threads(threads: int, frames: int, lanes: int) -> None:
    torch.set_num_threads(threads)
    there, gone = threading.Barrier(frames), threading.Barrier(frames)
    seen: list[list[int]] = []

    def frame() -> None:
        there.wait(60)
        seen.append(numbers_in_lanes())
        gone.wait(60)

    calls = [threading.Thread(target=on_backend_thread, args=(frame,)) for _ in range(frames)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert seen == [[1] * lanes] * frames


@pytest.mark.parametrize("everywhere", [on_this_thread, in_lanes])
def test_each_keeps_the_order_and_begins_nothing_after_a_failure(everywhere: object) -> None:
    torch.set_num_threads(2)
    assert each(lambda n: n * n, range(50), everywhere) == [n * n for n in range(50)]  # type: ignore[arg-type]
    begun: list[int] = []

    def fail(n: int) -> None:
        begun.append(n)
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        each(fail, range(50), everywhere)  # type: ignore[arg-type]
    assert len(begun) <= 2
