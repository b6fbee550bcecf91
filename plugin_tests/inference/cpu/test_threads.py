"""Backends run on threads that never end, whoever calls them."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from vsdslnet.inference.cpu.threads import LastingThreads


def test_calls_one_after_the_other_share_a_thread_that_is_not_the_callers() -> None:
    threads = LastingThreads()
    seen = {threads.run(threading.get_ident) for _ in range(20)}
    with ThreadPoolExecutor(1) as pool:
        seen.add(pool.submit(threads.run, threading.get_ident).result())
    assert len(seen) == 1
    assert threading.get_ident() not in seen
    assert seen <= {thread.ident for thread in threading.enumerate()}, "it outlives its caller"


def test_calls_at_the_same_time_do_not_wait_for_each_other() -> None:
    threads = LastingThreads()
    barrier = threading.Barrier(4)

    def meet() -> int:
        barrier.wait(30)
        return threading.get_ident()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: threads.run(meet), range(4)))
    assert len(set(found)) == 4


def test_what_a_call_raises_is_raised_where_it_was_made() -> None:
    threads = LastingThreads()
    with pytest.raises(ZeroDivisionError):
        threads.run(lambda: 1 // 0)
    with pytest.raises(SystemExit):
        threads.run(lambda: exec("raise SystemExit"))
    assert threads.run(lambda: 5) == 5


def test_nothing_of_a_call_is_kept() -> None:
    class Frame:
        pass

    threads, frame = LastingThreads(), Frame()
    held = weakref.ref(frame)
    assert threads.run(lambda frame=frame: frame) is frame  # type: ignore[misc]
    del frame
    gc.collect()
    assert held() is None


AT_EXIT = """
import atexit, threading, time
from vsdslnet.errors import BackendError
atexit.register(lambda: print(late()))
from vsdslnet.inference.cpu.threads import LastingThreads
threads = LastingThreads()
def late():
    try:
        return threads.run(lambda: "computed")
    except BackendError as error:
        return error
started = threading.Event()
def slow():
    started.set()
    time.sleep(0.5)
    print("finished", flush=True)
threading.Thread(target=threads.run, args=(slow,), daemon=True).start()
started.wait()
"""


def test_at_exit_calls_under_way_end_and_later_ones_are_refused(run_script: Any) -> None:
    result = run_script(AT_EXIT)
    assert result.returncode == 0, result.stderr
    finished, refused = result.stdout.splitlines()
    assert finished == "finished"
    assert "shutting down" in refused


TOO_LATE = """
import atexit, faulthandler
from vsdslnet.errors import BackendError
from vsdslnet.inference.cpu.threads import LastingThreads

faulthandler.dump_traceback_later(30, exit=True)
threads = LastingThreads()

def call():
    try:
        threads.run(int)
    except BackendError as error:
        print(error, flush=True)

atexit.register(call)
"""


def test_a_thread_that_can_not_be_made_any_more_is_not_waited_for(run_script: Any) -> None:
    result = run_script(TOO_LATE)
    assert result.returncode == 0, result.stderr
    assert "no thread for a frame" in result.stdout
