"""Checkpoints: everything a run needs to go on as if nothing had happened, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import torch

from vsdslnet.errors import ArgumentError
from vsdslnet.training.config.run import TrainConfig

__all__ = ["load_checkpoint", "save_checkpoint"]

_NAMES_IN_0_2 = {"calibrate": "initialise", "alignment_batches": "offset_batches"}


def save_checkpoint(path: Path, config: TrainConfig, state: dict[str, Any]) -> None:
    """Write ``state`` and the configuration atomically."""
    partial = path.with_suffix(".partial")
    torch.save({"config": msgspec.json.encode(config).decode(), **state}, partial)
    partial.replace(path)


def load_checkpoint(path: Path, config: TrainConfig) -> dict[str, Any] | None:
    """The state of a run, or None if there is none yet; ArgumentError if it is another run's.

    Only how often it saves and looks at validation may differ from the run's start: even the number of
    steps is in the rate of every step (cosine). To train on, start a new run from the old one's weights.
    """
    if not path.is_file():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    text = state.pop("config")
    for old, new in _NAMES_IN_0_2.items():
        text = text.replace(f'"{old}":', f'"{new}":')
    before = msgspec.json.decode(text, type=TrainConfig)
    if _essence(before) != _essence(config):
        raise ArgumentError(
            "run", str(path.parent), "the configuration it was started with", "name another folder with --run"
        )
    return state


def _essence(config: TrainConfig) -> TrainConfig:
    return msgspec.structs.replace(config, checkpoint_seconds=0.0, validate_every=0, validation_windows=0)
