"""What an encoder of a chunk is, whatever it makes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import vapoursynth as vs

__all__ = ["ChunkEncoder", "Picture"]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What an encoder has to know about the picture."""

    width: int
    height: int
    frame_rate: Fraction
    sample_aspect: Fraction


class ChunkEncoder(Protocol):
    """Takes frames in order, leaves a chunk's file."""

    def feed(self, frame: vs.VideoFrame) -> None:
        """Encode one frame in the form of the codec; JobError if the encoder is gone."""

    def close(self) -> None:
        """Write what is left; JobError if the encoder failed."""

    def abort(self) -> None:
        """Stop without finishing; what was written is of no use."""
