"""Several VapourSynth cores in one process, as an editor has them: each thread works in the core it entered."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import vapoursynth as vs

__all__ = ["Cores"]


class Cores(vs.EnvironmentPolicy):  # type: ignore[misc]
    """Makes and frees cores; register it before anything else asks for one. ``log`` is what they said last."""

    def __init__(self) -> None:
        self.log: deque[str] = deque(maxlen=20)
        self._here = threading.local()
        self._alive: set[int] = set()
        vs.register_policy(self)

    def on_policy_registered(self, special_api: Any) -> None:
        """VapourSynth hands over its interface."""
        self._api = special_api

    def on_policy_cleared(self) -> None:
        """The process ends."""

    def get_current_environment(self) -> Any:
        """The core this thread works in, or None."""
        return getattr(self._here, "environment", None)

    def set_environment(self, environment: Any) -> Any:
        """Enter a core; the one before is returned."""
        before = self.get_current_environment()
        if environment is not None and not self.is_alive(environment):
            environment = None
        self._here.environment = environment
        return before

    def is_alive(self, environment: Any) -> bool:
        """Whether it was not freed."""
        return id(environment) in self._alive

    @contextmanager
    def core(self, flags: int = 0) -> Iterator[Any]:
        """A new core, entered; freed at the end, whatever still is under way in it."""
        environment = self._api.create_environment(flags)
        self._alive.add(id(environment))
        self._api.set_logger(environment, lambda _level, text: self.log.append(str(text)))
        before = self.set_environment(environment)
        try:
            yield vs.core.core
        finally:
            self.set_environment(before)
            self._alive.discard(id(environment))
            self._api.destroy_environment(environment)
