"""What Convert can be asked for: every wrong value is refused by name, equal settings are equal."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any, get_origin

import msgspec
import pytest

from plugin_tests.paths import SCRIPTS
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.errors import ArgumentError
from vsdslnet.option_specs import Options, Spec, specs
from vsdslnet.options import BackendOptions, ClipOptions, ConvertOptions, JobOptions, LookOptions

WRONG: list[tuple[str, str, Any]] = [
    *(("model", "model", v) for v in ("", None, 3, b"dslnet", ["dslnet"])),
    *(("device", "device", v) for v in ("", "CPU", "gpu", None, 0, [], "cüda", "x" * 10_000)),
    *(("precision", "precision", v) for v in ("fp64", 16, None, {})),
    *(("backend", "backend", v) for v in ("trt", 1, None)),
    *(("device_index", "device_index", v) for v in (-1, 64, 10**400, 0.5, "0", None, True, float("nan"))),
    *(("tile", "tile", v) for v in (0, (64,), (63, 64), (64, 64, 64), (64.0, 64), ("64", "64"), [128, 128], "ab", ())),
    *(("peak_nits", "peak", v) for v in (0, 99.9, 203, 10_001, -1000, float("inf"), float("nan"), "1000", None, True)),
    *(("peak_nits", "peak", v) for v in (10**400, 1000j, [1000])),
    *(("white_nits", "white", v) for v in (0, 49.9, 600.1, -203, float("inf"), float("nan"), "203", None, True)),
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
    options = ConvertOptions(
        device="cpu", precision="bf16", backend="torch", tile=tile, peak_nits=300, strength=0, saturation=4
    )
    assert options.part(BackendOptions) == BackendOptions(device="cpu", precision="bf16", backend="torch", tile=tile)
    assert options.part(LookOptions) == LookOptions(peak_nits=300, strength=0, saturation=4)


def test_looks_share_a_backend_and_backend_options_are_keys() -> None:
    a, b = (o.part(BackendOptions) for o in (ConvertOptions(peak_nits=600), ConvertOptions(saturation=2, strength=0.5)))
    assert a == b
    assert len({a, b, ConvertOptions(tile=(64, 64)).part(BackendOptions)}) == 2


def test_defaults_are_the_documented_ones() -> None:
    options = ConvertOptions()
    assert (options.peak_nits, options.strength, options.saturation) == (1000, 1, 1)
    assert (options.model, options.device, options.tile) == ("dslnet", "auto", None)


@pytest.mark.parametrize("kind", [ClipOptions, EncodeSettings, JobOptions])
def test_every_default_is_allowed_and_every_help_stands_alone(kind: type[Options]) -> None:
    kind()
    for spec in specs(kind):
        assert spec.note.help[0].isupper() or spec.note.help[0].isdigit() or spec.choices, spec.name
        assert spec.note.help.endswith("."), spec.name
        assert spec.group, spec.name


@pytest.mark.parametrize("spec", [s for s in specs(EncodeSettings) + specs(JobOptions) if s.note.low is not None])
def test_bounds_are_allowed_and_what_lies_beyond_is_not(spec: Spec) -> None:
    step = 1 if spec.kind is int else 1e-6
    pair = get_origin(spec.kind) is tuple
    low, high = spec.note.low, spec.note.high
    for bound, beyond in ((low, -step), (high, step)):
        if bound is None:
            continue
        number = int(bound) if spec.kind is not float else float(bound)
        spec.check((number, number) if pair else number)
        outside = int(number - 1) if pair else number + beyond
        with pytest.raises(ArgumentError, match=rf"^{spec.name}="):
            spec.check((outside, outside) if pair else outside)


def test_what_users_write_becomes_options_and_back() -> None:
    given = {"peak": 600.0, "tile": [128, 64], "scene_cuts": "none"}
    options = ClipOptions.parse(given)
    assert (options.peak_nits, options.tile) == (600, (128, 64))
    assert options.arguments().items() >= given.items()
    assert EncodeSettings.parse({"params": "no-sao:rd=5"}).parameters == {"no-sao": "1", "rd": "5"}


def test_settings_survive_the_journal() -> None:
    settings = EncodeSettings(peak_nits=600, tile=(64, 128), parameters={"rd": "5"}, crf=17.5)
    assert msgspec.json.decode(msgspec.json.encode(settings), type=EncodeSettings) == settings


def test_what_repeats_the_options_in_files_is_up_to_date() -> None:
    """The shim's header and README's table."""
    command = [sys.executable, SCRIPTS / "write_options.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_line_has_every_option_with_its_help() -> None:
    from vsdslnet.cli import encode

    parameters = inspect.signature(encode).parameters
    for spec in specs(EncodeSettings) + specs(JobOptions):
        [shown] = parameters[spec.name].annotation.__metadata__
        assert shown.help == spec.help


@pytest.mark.parametrize("given", [0, 1, False, True])
def test_a_switch_is_taken_as_vapoursynth_spells_it(given: int) -> None:
    """Its maps have integers where Python has booleans; other numbers are no switches."""
    assert EncodeSettings.parse({"hdr10plus": given}).hdr10plus is bool(given)
    with pytest.raises(ArgumentError, match="hdr10plus=2 is not allowed"):
        EncodeSettings.parse({"hdr10plus": 2})
