"""Results of chunks that nobody made."""

from __future__ import annotations

from vsdslnet.encode.job.journal import ChunkResult

__all__ = ["synthetic_result"]


def synthetic_result(index: int, *, frames: int = 1, max_nits: float = 0.0) -> ChunkResult:
    """What a maker says of a finished chunk, as far as tests look at it."""
    return ChunkResult(
        index=index,
        frames=frames,
        size_bytes=1,
        sha256="",
        frames_sha256="",
        max_nits=max_nits,
        max_average_nits=max_nits / 10,
        seconds=0.0,
    )
