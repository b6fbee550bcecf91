"""Convert and training on a device, as a user starts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugin_tests.plugin.clips import all_planes, textured


@pytest.mark.parametrize("num_streams", [1, 3])
def test_convert_gives_the_frames_of_the_cpu(core: Any, small_model: str, num_streams: int) -> None:
    import vapoursynth as vs

    clip = textured(core, vs.YUV420P8, width=96, height=64, length=6)
    options = {"model": small_model, "precision": "fp32"}
    here = all_planes(core.dslnet.Convert(clip, device="cpu", **options))
    there = all_planes(core.dslnet.Convert(clip, device="cuda", num_streams=num_streams, **options))
    for expected, given in zip(here, there, strict=True):
        for one, other in zip(expected, given, strict=True):
            assert abs(one.astype(int) - other.astype(int)).max() <= 2, "codes of 16 bits"


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_training_steps_on_the_device(tmp_path: Path, precision: str) -> None:
    pytest.importorskip("accelerate")
    import msgspec

    from plugin_tests.training.dataset.small_datasets import write_dataset
    from plugin_tests.training.loop.test_loop import CONFIG
    from vsdslnet.training.dataset.store import WindowDataset
    from vsdslnet.training.loop.log_plots import read_log
    from vsdslnet.training.loop.run import train

    config = msgspec.structs.replace(CONFIG, precision=precision)
    dataset = WindowDataset(write_dataset(tmp_path / "dataset"))
    network = train(config, dataset, tmp_path / "run", validation=dataset)
    steps, _ = read_log(tmp_path / "run" / "log.jsonl")
    assert len(steps) == config.steps
    assert all(np.isfinite(step["loss"]) for step in steps)
    assert all(parameter.isfinite().all() for parameter in network.parameters())
