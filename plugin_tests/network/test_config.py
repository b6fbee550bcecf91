"""DSLNetConfig refuses what no network can be built from."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import torch

from vsdslnet.errors import ArgumentError
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet


@pytest.mark.parametrize(
    "wrong",
    [
        {"radius": -1},
        {"radius": 17},
        {"features": 3},
        {"features": 10**9},
        {"scale": 0},
        {"scale": 9},
        {"chain": 0},
        {"chain": 10**6},
        {"deform_kernel": 2},
        {"deform_kernel": 7},
        {"kernel": 4},
        {"kernel": 0},
        {"dynamic_kernel": 6},
        {"dynamic_kernel": -1},
        {"condition_pixels": 1},
        {"condition_pixels": -1},
        {"black_anchor": float("nan")},
        {"black_anchor": 2.0},
    ],
    ids=str,
)
def test_an_impossible_value_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        DSLNetConfig(**wrong)


def test_what_json_says_is_held_to_the_same() -> None:
    for text in (b'{"radius":-1}', b'{"radius":"2"}', b'{"depth":4}', b'{"norm":"layer"}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(text, type=DSLNetConfig)


def test_json_round_trip() -> None:
    config = DSLNetConfig(radius=1, norm="batch", offset_conv=False, black_anchor=0.25)
    assert msgspec.json.decode(msgspec.json.encode(config), type=DSLNetConfig) == config


@pytest.mark.parametrize("extreme", [{"radius": 0, "features": 4, "kernel": 1}, {"condition_pixels": 256}], ids=str)
def test_the_smallest_allowed_values_build_and_run(extreme: dict[str, Any]) -> None:
    config = DSLNetConfig(**({"features": 4, "kernel": 3, "dynamic_kernel": 3} | extreme))
    with torch.no_grad():
        assert DSLNet(config)(torch.rand(1, config.frames, 3, 9, 300)).shape == (1, 3, 9, 300)
