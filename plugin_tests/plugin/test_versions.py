"""Versions of a clip that differ in their look: what Convert gives with each, and the network asked once a frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import vapoursynth as vs

from plugin_tests.plugin.clips import planes, same, textured
from vsdslnet.color.measured import measured_pq
from vsdslnet.color.transfer import nits_to_pq, pq_to_nits
from vsdslnet.errors import ArgumentError
from vsdslnet.inference import converter
from vsdslnet.inference.lut import distil
from vsdslnet.looks import NODES, Look, save_look
from vsdslnet.options import ClipOptions
from vsdslnet.plugin.convert import convert, convert_versions


def darker(path: Path) -> str:
    greys = measured_pq(torch.linspace(0, 1, NODES, dtype=torch.float64).expand(3, 1, -1))[1, 0]
    nodes = nits_to_pq(pq_to_nits(greys) / 2).numpy().astype(np.float32)
    nodes[0] = 0
    save_look(Look(tuple(nodes.tolist()), 1.1, "measured"), path)
    return str(path)


@pytest.mark.parametrize("suffix", ["", "-lut"])
def test_each_version_is_what_convert_gives_and_the_network_is_asked_once(
    core: Any, small_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    asked = []

    def counted(engine: Any, sdr: torch.Tensor) -> torch.Tensor:
        asked.append(sdr)
        return network_picture(engine, sdr)

    network_picture = converter.network_picture
    for module in (converter, distil):
        monkeypatch.setattr(module, "network_picture", counted)
    source = textured(core, vs.YUV420P8, width=64, height=48, length=3)
    plain = ClipOptions(model=small_model + suffix, num_streams=2)
    versions = [
        plain,
        replace(plain, white_nits=100.0),
        replace(plain, look=darker(tmp_path / "a.safetensors"), peak_nits=600.0),
        replace(plain, strength=0.5, saturation=1.2),
        replace(plain, strength=0.0),
        replace(plain, strength=0.0, saturation=1.2),
    ]
    clips = convert_versions(source, versions)
    ours = [[clip.get_frame(n) for clip in clips] for n in (0, 1)]
    assert len(asked) == 2 if not suffix else len(asked) <= 2
    for options, *frames in zip(versions, *ours, strict=True):
        single = convert(source, options)
        assert single.format.id == frames[0].format.id
        for n, frame in enumerate(frames):
            theirs = single.get_frame(n)
            assert same(planes(frame), planes(theirs)), options
            assert dict(frame.props) == dict(theirs.props)


def test_every_version_is_checked_before_any_frame(core: Any, small_model: str) -> None:
    source = textured(core, vs.YUV420P8, length=1)
    with pytest.raises(ArgumentError, match="format"):
        convert_versions(source, [ClipOptions(model=small_model), ClipOptions(model=small_model, format=vs.GRAY8)])
