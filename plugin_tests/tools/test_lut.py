"""``vsdslnet lut``: the .cube file does to a frame what the "-lut" model does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

from plugin_tests.encode.conftest import Command
from plugin_tests.plugin.clips import planes
from vsdslnet.encode.source.clip import open_source
from vsdslnet.encode.source.probe import probe


def test_the_file_does_what_the_model_does(
    core: Any, clip: Path, small_model: str, command: Command, tmp_path: Path
) -> None:
    colour = pytest.importorskip("colour")
    output = tmp_path / "scene.cube"
    done = command("lut", clip, "--at", "00:00:00.5", "-o", output, "--model", small_model, "--peak", 800)
    assert (done.returncode, done.stdout) == (0, f"{output}: frame 12\n"), done.stderr
    source = open_source(probe(clip)).clip
    guessed = {"matrix_in": 6, "range_in": 0}
    model = core.dslnet.Convert(
        source,
        model=f"{small_model}-lut",
        peak=800,
        format=vs.RGBS,
        scene_cuts="detect",
        transfer_in=1,
        primaries_in=1,
        **guessed,
    )
    sdr = source.resize.Bicubic(format=vs.RGBS, primaries_in=1, transfer_in=1, **guessed)
    lut = colour.io.read_LUT_IridasCube(str(output))
    picture = np.clip(np.stack(planes(sdr.get_frame(12)), -1), 0, 1)
    theirs = lut.apply(picture, interpolator=colour.algebra.table_interpolation_tetrahedral)
    ours = np.stack(planes(model.get_frame(12)), -1)
    assert np.abs(theirs - ours).max() < 1e-4


def test_an_output_that_cannot_be_written_is_an_error(
    clip: Path, small_model: str, command: Command, tmp_path: Path
) -> None:
    done = command("lut", clip, "-o", tmp_path / "none" / "scene.cube", "--model", small_model)
    assert done.returncode == 4
    assert "there is no such directory" in done.stderr
