"""A small dataset in the format of vsdslnet.training.dataset.store, made from random smooth pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from vsdslnet.color.transfer import pq_scalar


def write_dataset(path: Path, *, windows: int = 12, group: str = "made", seed: int = 0) -> Path:
    """Windows whose HDR side is a fixed curve of the SDR side, with a one-pixel pan."""
    random = np.random.default_rng(seed)
    path.mkdir(parents=True)
    coarse = random.integers(0, 256, (windows, 16, 24, 3)).repeat(8, axis=1).repeat(8, axis=2)
    frames = np.stack([coarse[:, :96, k : k + 160] for k in range(5)], axis=1).astype(np.uint8)
    flow = np.zeros((windows, 5, 96, 160, 2), np.float16)
    flow[..., 0] = -(np.arange(5) - 2)[:, None, None]
    light = (frames[:, 2] / 255.0) ** 2.2 * pq_scalar(600.0)
    arrays = {
        "sdr": frames,
        "cond": frames[:, :, :72, :128],
        "hdr": (light * 65535).astype(np.uint16),
        "clean": frames[:, 2].astype(np.uint16) * 257,
        "crop": np.tile(np.float32([0.2, 0.2, 0.8, 0.8]), (windows, 1)),
        "flow": flow,
    }
    for name, array in arrays.items():
        np.save(path / f"{name}.npy", np.ascontiguousarray(array))
    (path / "meta.jsonl").write_text("".join(json.dumps({"group": group}) + "\n" for _ in range(windows)))
    (path / "manifest.json").write_text(json.dumps({"format": 2, "complete": True}))
    return path
