"""Everything Convert refuses, each with its cure, in one line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs

from plugin_tests.plugin.clips import planes, same, textured


def refusal(core: Any, clip: Any, **arguments: Any) -> str:
    with pytest.raises(vs.Error) as caught:
        core.dslnet.Convert(clip, **arguments)
    text = str(caught.value)
    assert text.startswith("dslnet.Convert: ")
    assert "\n" not in text
    return text


ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"model": "nobody"}, "model='nobody' is not known"),
    ({"model": "no/such.safetensors"}, "there is no such file"),
    ({"model": ""}, "model=''"),
    ({"model": b"\xff\xfe"}, "text in UTF-8"),
    ({"model": "x" * 10_000}, "is not known: available are"),
    ({"model": "../models/dslnet"}, "model="),
    ({"peak": 0.0}, "peak=0.0"),
    ({"peak": float("nan")}, "peak=nan"),
    ({"peak": 1e300}, "peak=1e+300"),
    ({"strength": -0.1}, "strength=-0.1"),
    ({"strength": 1.01}, "strength=1.01"),
    ({"saturation": float("inf")}, "saturation=inf"),
    ({"format": 1}, "format=1 "),
    ({"format": 2**40}, "format=1099511627776"),
    ({"format": int(vs.YUV420P8)}, "8-bit PQ shows bands"),
    ({"matrix_in": 0}, "matrix_in=0"),
    ({"transfer_in": 16}, "transfer_in=16"),
    ({"primaries_in": 99}, "primaries_in=99"),
    ({"range_in": -1}, "range_in=-1"),
    ({"chromaloc_in": 17}, "chromaloc_in=17"),
    ({"device": "toaster"}, "one of auto, cpu, cuda"),
    ({"device_index": -1}, "device_index=-1"),
    ({"precision": "int1"}, "one of auto, fp32, bf16, fp16"),
    ({"backend": "λ"}, "backend='λ'"),
    ({"num_streams": 0}, "num_streams=0"),
    ({"num_streams": 2**62}, "1 to 64"),
    ({"tile": [64]}, "[width, height]"),
    ({"tile": [64, 64, 64]}, "[width, height]"),
    ({"tile": [8, 8]}, "at least 64 pixels"),
    ({"scene_cuts": "maybe"}, "one of props, detect, none"),
    ({"dither_type": "fancy"}, "one of none, ordered, random, error_diffusion"),
]


@pytest.mark.parametrize(
    ("arguments", "says"), ARGUMENTS, ids=[f"{next(iter(a))}-{i}" for i, (a, _) in enumerate(ARGUMENTS)]
)
def test_wrong_arguments_are_named(core: Any, arguments: dict[str, Any], says: str) -> None:
    text = refusal(core, textured(core, vs.YUV420P8, length=1), **arguments)
    assert says in text
    assert next(iter(arguments)) in text or "File name too long" in text


def test_unknown_arguments_are_refused(core: Any) -> None:
    with pytest.raises(vs.Error, match="strenght"):
        core.dslnet.Convert(textured(core, vs.YUV420P8, length=1), strenght=1)


def test_the_shims_arguments_are_the_options(core: Any) -> None:
    from vsdslnet.option_specs import specs
    from vsdslnet.options import ClipOptions

    signature = next(f.signature for f in core.dslnet.functions() if f.name == "Convert")
    registered = [argument.split(":")[0] for argument in signature.split(";") if argument]
    assert sorted(registered) == sorted(["clip", *(spec.name for spec in specs(ClipOptions))])


@pytest.mark.parametrize("variable", ["varformat", "varsize"])
def test_variable_clips(core: Any, variable: str) -> None:
    assert "make it constant first" in refusal(core, core.std.BlankClip(format=vs.YUV420P8, **{variable: True}))


@pytest.mark.parametrize(("bits", "subsampling"), [(17, 0), (32, 0), (8, 3)])
def test_formats_outside_the_promise(core: Any, bits: int, subsampling: int) -> None:
    odd = core.query_video_format(vs.YUV, vs.INTEGER, bits, subsampling, subsampling)
    assert "the clip is " in refusal(core, core.std.BlankClip(format=odd.id, width=64, height=64, length=1))


def test_subsampling_that_does_not_fit_the_size(core: Any) -> None:
    clip = textured(core, vs.RGB24, width=33, height=16, length=1)
    text = refusal(core, clip, format=int(vs.YUV420P10))
    assert "33x16" in text
    assert "crop or pad" in text


BAD_PROPS: list[tuple[dict[str, Any], str]] = [
    ({"_FieldBased": 2}, "interlaced"),
    ({"_Transfer": 16}, "HDR already"),
    ({"_Transfer": 18}, "HLG"),
    ({"_Transfer": [16, 1]}, "HDR already"),
    ({"DolbyVisionRPU": b"\x19\x08", "_Transfer": 2}, "Dolby Vision profile 5"),
]


@pytest.mark.parametrize(("props", "says"), BAD_PROPS)
def test_clips_that_are_not_progressive_sdr(core: Any, props: dict[str, Any], says: str) -> None:
    assert says in refusal(core, textured(core, vs.YUV420P8, length=1, **props))


@pytest.mark.parametrize(("props", "says"), BAD_PROPS)
def test_frames_that_turn_bad_later_fail_alone(core: Any, small_model: str, props: dict[str, Any], says: str) -> None:
    good = textured(core, vs.YUV420P8, length=8)
    clip = core.dslnet.Convert(good[:6] + good[6:].std.SetFrameProps(**props), model=small_model)
    clip.get_frame(3)
    with pytest.raises(vs.Error, match=says) as caught:
        clip.get_frame(4)
    assert "\n" not in str(caught.value)
    clip.get_frame(2)


@pytest.mark.parametrize("model", ["", "-lut"])
@pytest.mark.parametrize(
    ("impossible", "same_as"),
    [({"_Matrix": 10, "_Transfer": 13}, {"_Matrix": 9, "_Transfer": 13}), ({"_Matrix": 15}, {})],
)
def test_codes_that_resize_refuses_convert(
    core: Any, small_model: str, impossible: dict[str, int], same_as: dict[str, int], model: str
) -> None:
    clip = textured(core, vs.YUV420P8, length=1, width=1280, _Matrix=None)
    wrong, right = (
        core.dslnet.Convert(clip.std.SetFrameProps(**props), model=small_model + model, strength=0.0)
        for props in (impossible, same_as)
    )
    assert same(planes(wrong.get_frame(0)), planes(right.get_frame(0)))


@pytest.mark.parametrize("damage", ["truncated", "altered", "pickle", "empty", "directory"])
def test_damaged_weights_are_refused_at_once(core: Any, small_model: str, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "bad.safetensors"
    shutil.copyfile(small_model, path)
    data = bytearray(path.read_bytes())
    if damage == "directory":
        path.unlink()
        path.mkdir()
    elif damage == "altered":
        data[-1] ^= 1
        path.write_bytes(data)
    else:
        path.write_bytes({"truncated": data[: len(data) // 2], "pickle": b"\x80\x04N.", "empty": b""}[damage])
    text = refusal(core, textured(core, vs.YUV420P8, length=1), model=str(path))
    assert "bad.safetensors" in text


def test_weights_that_vanish_before_the_first_frame(core: Any, small_model: str, tmp_path: Path) -> None:
    path = tmp_path / "gone.safetensors"
    shutil.copyfile(small_model, path)
    clip = core.dslnet.Convert(textured(core, vs.YUV420P8, length=1), model=str(path))
    path.unlink()
    with pytest.raises(vs.Error, match=r"frame 0: .*there is no such file") as caught:
        clip.get_frame(0)
    assert "\n" not in str(caught.value)


OUT_OF_MEMORY = """
import vsdslnet.inference.converter as converter
def no_memory(settings):
    raise MemoryError("not\\na byte left")
converter.Converter.load = no_memory
clip = core.dslnet.Convert(core.std.BlankClip(format=vs.YUV420P8, width=64, height=64, length=4))
for n in range(4):
    try:
        clip.get_frame(n)
    except vs.Error as error:
        print(repr(str(error)))
"""


def test_an_exception_inside_inference_is_one_line_for_each_frame(run_script: Any) -> None:
    result = run_script(OUT_OF_MEMORY)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [f"'dslnet: frame {n}: MemoryError: not a byte left'" for n in range(4)]


def test_opening_a_script_does_not_import_torch(run_script: Any) -> None:
    source = "core.dslnet.Convert(core.std.BlankClip(format=vs.YUV420P8))\nimport sys\nprint('torch' in sys.modules)"
    result = run_script(source)
    assert result.stdout.strip() == "False", result.stderr
