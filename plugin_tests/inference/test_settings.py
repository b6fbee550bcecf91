"""What Convert can be asked for: every wrong value is refused by name, equal settings are equal."""

from __future__ import annotations

from typing import Any

import pytest

from vsdslnet.errors import ArgumentError
from vsdslnet.options import BackendOptions, ConvertOptions, LookOptions

WRONG: list[tuple[str, str, Any]] = [
    *(("model", "model", v) for v in ("", None, 3, b"dslnet", ["dslnet"])),
    *(("device", "device", v) for v in ("", "CPU", "gpu", None, 0, [], "cüda", "x" * 10_000)),
    *(("precision", "precision", v) for v in ("fp64", 16, None, {})),
    *(("backend", "backend", v) for v in ("trt", 1, None)),
    *(("device_index", "device_index", v) for v in (-1, 64, 10**400, 0.5, "0", None, True, float("nan"))),
    *(("tile", "tile", v) for v in (0, (64,), (63, 64), (64, 64, 64), (64.0, 64), ("64", "64"), [128, 128], "ab", ())),
    *(("peak_nits", "peak", v) for v in (0, 299.9, 10_001, -1000, float("inf"), float("nan"), "1000", None, True)),
    *(("peak_nits", "peak", v) for v in (10**400, 1000j, [1000])),
    *(("strength", "strength", v) for v in (-0.01, 1.01, float("nan"), "1", None, True)),
    *(("saturation", "saturation", v) for v in (-0.01, 4.01, float("-inf"), "1", None, False)),
]


@pytest.mark.parametrize(("field", "argument", "value"), WRONG, ids=lambda v: ascii(str(type(v)))[8:14])
def test_a_wrong_value_is_refused_by_the_arguments_name(field: str, argument: str, value: Any) -> None:
    with pytest.raises(ArgumentError, match=rf"^{argument}=") as caught:
        ConvertOptions(**{field: value})
    assert caught.value.argument == argument
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="peek"):
        ConvertOptions(peek=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("tile", [None, (64, 64), (1920, 1080)])
def test_right_values_are_kept(tile: tuple[int, int] | None) -> None:
    settings = ConvertOptions(
        device="cpu", precision="bf16", backend="torch", tile=tile, peak_nits=300, strength=0, saturation=4
    )
    assert settings.engine == BackendOptions(device="cpu", precision="bf16", backend="torch", tile=tile)
    assert settings.look == LookOptions(peak_nits=300, strength=0, saturation=4)


def test_looks_share_an_engine_and_engine_settings_are_keys() -> None:
    a, b = ConvertOptions(peak_nits=600), ConvertOptions(saturation=2, strength=0.5)
    assert a.engine == b.engine
    assert len({a.engine, b.engine, ConvertOptions(tile=(64, 64)).engine}) == 2


def test_defaults_are_the_documented_ones() -> None:
    settings = ConvertOptions()
    assert (settings.peak_nits, settings.strength, settings.saturation) == (1000, 1, 1)
    assert (settings.model, settings.device, settings.tile) == ("dslnet", "auto", None)
