"""Frames to measure on."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

__all__ = ["frames", "sizes_of"]


def sizes_of(text: str) -> list[tuple[int, int]]:
    """``480x270,960x540`` -> [(480, 270), (960, 540)]."""
    return [(int(width), int(height)) for width, height in (size.split("x") for size in text.split(","))]


def frames(clip: Path | None, count: int, width: int, height: int, place: float = 0.5) -> Tensor:
    """Consecutive SDR frames (count, 3, H, W): a clip's, from ``place`` (0..1) on, or random ones."""
    if clip is None:
        torch.manual_seed(0)
        coarse = torch.rand(count, 3, height // 8 + 1, width // 8 + 1)
        return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    import av
    from av.video.reformatter import Colorspace

    window = torch.empty(count, 3, height, width)
    taken = 0
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        first = (container.start_time or 0) + int((container.duration or 0) * place)
        container.seek(first)
        for frame in container.decode(stream):
            # A seek ends at the key frame before.
            if frame.time is not None and frame.time * 1e6 < first:
                continue
            rgb = frame.reformat(width, height, "rgb24", src_colorspace=Colorspace.ITU709).to_ndarray()
            window[taken] = torch.from_numpy(rgb).permute(2, 0, 1)
            taken += 1
            if taken == count:
                return window.div_(255)
    raise SystemExit(f"{clip}: has fewer than {count} frames behind {place:.0%} of it")
