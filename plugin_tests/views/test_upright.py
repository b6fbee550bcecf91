"""Frames are turned as BestSource, which reads the display matrix by itself, turns them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from vsdslnet.encode.source.clip import open_source
from vsdslnet.encode.source.probe import probe
from vsdslnet.views import upright


def turned_clip(path: Path, degrees: int, *, hflip: bool = False, vflip: bool = False) -> Path:
    """Two frames, bright top left, whose file says how they are to be turned."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=24)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.options = {"crf": "1"}
        video.set_display_rotation(degrees, hflip=hflip, vflip=vflip)
        rows, columns = np.mgrid[:48, :64]
        picture = np.stack([235 - rows, 235 - 2 * columns, 40 + rows + columns], -1).astype(np.uint8)
        for _ in range(2):
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")))
        output.mux(video.encode(None))
    return path


def luma(clip: Any) -> torch.Tensor:
    with clip.get_frame(0) as frame:
        return torch.from_numpy(np.array(frame[0]))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("flips", [{}, {"hflip": True}, {"vflip": True}])
@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_frames_are_turned_as_a_player_turns_them(
    core: Any, degrees: int, flips: dict[str, bool], suffix: str, tmp_path: Path
) -> None:
    path = turned_clip(tmp_path / f"a{suffix}", degrees, **flips)
    info = probe(path)
    player = luma(core.bs.VideoSource(str(path), cachemode=0, showprogress=0))
    ours = upright(luma(open_source(info).clip), info.display_matrix)
    assert torch.equal(ours, player)
    assert (degrees == 0 and not flips) or not torch.equal(luma(open_source(info).clip), player)


def test_nothing_said_is_nothing_turned() -> None:
    frame = torch.arange(6.0).reshape(1, 2, 3)
    assert upright(frame, ()) is frame
    assert torch.equal(upright(frame, (65_536, 0, 0, 0, 65_536, 0, 0, 0, 1 << 30)), frame)
