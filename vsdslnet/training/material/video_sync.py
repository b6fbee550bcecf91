"""Which frame of the SDR version belongs to which frame of the HDR10 film, and where scenes begin.

Both work on thumbnails: (frames, height, width) float32 luma signal 0..1, whatever its transfer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vsdslnet.errors import MediaError

__all__ = ["SceneSpan", "frame_offset", "split_scenes"]

Thumbnails = NDArray[np.float32]

_BINS = 32


@dataclass(frozen=True, kw_only=True)
class SceneSpan:
    """Frames ``first`` up to but not including ``end``."""

    first: int
    end: int


def frame_offset(hdr: Thumbnails, sdr: Thumbnails, *, limit_frames: int = 240, least: float = 0.5) -> int:
    """The d for which frame n of the HDR film is frame n + d of the SDR version.

    For each d the pictures and their changes from frame to frame are correlated: the changes decide
    where the pictures stand still. Raises MediaError when nothing within the limit correlates.
    """
    best, best_score = 0, -1.0
    # Small offsets first: of equals (a film that never moves) the smallest wins.
    for offset in sorted(range(-limit_frames, limit_frames + 1), key=abs):
        first = max(0, -offset)
        count = min(len(hdr) - first, len(sdr) - first - offset)
        if count < min(8, len(hdr), len(sdr)):
            continue
        a, b = hdr[first : first + count], sdr[first + offset : first + offset + count]
        score = 0.5 * _correlation(a, b) + 0.5 * _correlation(np.diff(a, axis=0), np.diff(b, axis=0))
        if score > best_score + 1e-6:
            best, best_score = offset, score
    if best_score < least:
        raise MediaError(
            f"the SDR and HDR videos do not show the same film within {limit_frames} frames "
            f"(best correlation {best_score:.2f} at offset {best}): trim one of them, or pass another SDR version"
        )
    return best


def _correlation(a: Thumbnails, b: Thumbnails) -> float:
    """Mean over frames of the correlation of two pictures; still changes (all zero) count as 1."""
    a = a.reshape(len(a), -1) - a.reshape(len(a), -1).mean(axis=1, keepdims=True)
    b = b.reshape(len(b), -1) - b.reshape(len(b), -1).mean(axis=1, keepdims=True)
    norm = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    # Weighted by strength: changes that are only noise say nothing.
    total = float(norm.sum())
    return float((a * b).sum() / total) if total > 1e-9 else 1.0


def split_scenes(thumbnails: Thumbnails, *, threshold: float = 0.3, margin_frames: int = 1) -> list[SceneSpan]:
    """Cut where a picture is another than the one before, far more so than in the frames around.

    Another picture: a share ``threshold`` of the pixels change their brightness class, or the two hardly
    correlate (scenes of one brightness). A fade or a flash of one frame is no cut; a false cut costs a few
    frames, a missed one a window across two scenes, so it leans towards cutting.
    ``margin_frames`` at both sides of a cut are left out (blended frames).
    """
    count = len(thumbnails)
    if count == 0:
        return []
    histograms = np.stack([np.histogram(frame, bins=_BINS, range=(0, 1))[0] for frame in thumbnails])
    pixels = thumbnails[0].size
    moved = 0.5 * np.abs(np.diff(histograms, axis=0)).sum(axis=1) / pixels
    change = np.abs(np.diff(thumbnails, axis=0)).mean(axis=(1, 2))
    cuts = []
    for k in range(count - 1):
        around = np.r_[change[max(0, k - 6) : k], change[k + 1 : k + 7]]
        usual = float(np.median(around)) if around.size else 0.0
        flash = 0 < k + 1 < count - 1 and np.abs(thumbnails[k + 2] - thumbnails[k]).mean() < 0.3 * change[k]
        after_flash = k > 0 and np.abs(thumbnails[k + 1] - thumbnails[k - 1]).mean() < 0.3 * change[k]
        another = moved[k] > threshold or _correlation(thumbnails[k : k + 1], thumbnails[k + 1 : k + 2]) < 0.7
        if another and change[k] > 3 * usual + 0.01 and not (flash or after_flash):
            cuts.append(k + 1)
    edges = [0, *cuts, count]
    spans = []
    for first, end in pairwise(edges):
        inner = SceneSpan(
            first=first + (margin_frames if first else 0), end=end - (margin_frames if end < count else 0)
        )
        if inner.end > inner.first:
            spans.append(inner)
    return spans
