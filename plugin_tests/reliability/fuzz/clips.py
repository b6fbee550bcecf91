"""Generated clips through Convert: a valid frame or one line of error; never a crash, never a hang.

    python -m plugin_tests.reliability.fuzz.clips --examples 1000

Every format VapourSynth has, sizes down to 1x1, 1 to 9 frames, properties that are missing, contradictory, out of
range or of another type, NaN and infinity in float planes, clips that change format or size on the way.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import vapoursynth as vs
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from plugin_tests.reliability.children import how_it_ended, run_module
from plugin_tests.reliability.figures import Figure, Options, at_most, none_of
from plugin_tests.small_network import save_small_network

__all__ = ["measure"]

HANG_SECONDS = 10

_INTEGERS = st.one_of(
    st.integers(-2, 24), st.sampled_from([255, -(2**31), 2**31 - 1, 2**31, -(2**63), 2**63 - 1, 10**9])
)
_VALUES = st.one_of(
    _INTEGERS,
    _INTEGERS,
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.lists(_INTEGERS, min_size=1, max_size=3),
)
_NAMES = st.sampled_from(
    [
        "_Matrix", "_Transfer", "_Primaries", "_Range", "_ChromaLocation", "_FieldBased", "_SceneChangePrev",
        "_SceneChangeNext", "_DurationNum", "_DurationDen", "_SARNum", "_AbsoluteTime", "ContentLightLevelMax",
        "MasteringDisplayPrimariesX", "DSLNetMaxNits", "_Combed", "_PictType", "Anything",
    ]
)  # fmt: skip
_PROPS = st.dictionaries(_NAMES, _VALUES, max_size=5)
_OUTPUTS = st.sampled_from(
    [None, None, None, vs.YUV420P10, vs.YUV444P16, vs.RGB48, vs.RGBS, vs.YUV444PS, vs.GRAY16, vs.RGBH]
)


@st.composite
def formats(draw: st.DrawFn) -> vs.VideoFormat:
    """Any format the core can describe."""
    family = draw(st.sampled_from([vs.GRAY, vs.RGB, vs.YUV, vs.YUV]))
    if draw(st.booleans()):
        sample, bits = vs.INTEGER, draw(st.one_of(st.integers(8, 16), st.integers(8, 16), st.integers(8, 32)))
    else:
        sample, bits = vs.FLOAT, draw(st.sampled_from([16, 32]))
    across, down = (draw(st.sampled_from([0, 0, 1, 1, 1, 2, 2, 3, 4])) if family == vs.YUV else 0 for _ in range(2))
    return vs.core.query_video_format(family, sample, bits, across, down)


@st.composite
def clips(draw: st.DrawFn) -> Any:
    """A clip, perhaps of two parts that do not agree."""
    clip = draw(parts())
    kind = draw(st.sampled_from(["constant"] * 6 + ["two parts", "mismatch"]))
    if kind == "constant":
        return clip
    if kind == "two parts":
        return clip + clip.std.SetFrameProps(**draw(_PROPS))
    return vs.core.std.Splice([clip, draw(parts())], mismatch=True)


@st.composite
def parts(draw: st.DrawFn) -> Any:
    """Noise of one format and size, with properties."""
    form = draw(formats())
    width = draw(st.integers(1, max(1, 33 >> form.subsampling_w))) << form.subsampling_w
    height = draw(st.integers(1, max(1, 33 >> form.subsampling_h))) << form.subsampling_h
    blank = vs.core.std.BlankClip(format=form.id, width=width, height=height, length=draw(st.integers(1, 9)))
    if draw(st.booleans()):
        blank = blank.std.RemoveFrameProps()
    noise, wild = draw(st.integers(0, 99)), draw(st.booleans())

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        for plane in range(form.num_planes):
            _fill(np.asarray(out[plane]), form, np.random.default_rng([noise, n, plane]), wild)
        return out

    # 17 to 31 bits lie in 32-bit samples, which numpy writes as well.
    return vs.core.std.ModifyFrame(blank, blank, fill).std.SetFrameProps(**draw(_PROPS))


def _fill(plane: np.ndarray, form: vs.VideoFormat, rng: np.random.Generator, wild: bool) -> None:
    if form.sample_type == vs.INTEGER:
        plane[:] = rng.integers(0, 2**form.bits_per_sample, plane.shape, dtype=np.uint64).astype(plane.dtype)
        return
    plane[:] = rng.random(plane.shape)
    if wild:
        odd = np.array([np.nan, np.inf, -np.inf, 6e4, -6e4, 1e-7, -0.0, 2.0], np.float32)
        chosen = rng.random(plane.shape) < 0.3
        plane[chosen] = rng.choice(odd, int(chosen.sum())).astype(plane.dtype)


def outcome(clip: Any, model: str, output: int | None, cuts: str) -> Counter[str]:
    """Convert and fetch every frame; AssertionError on what is neither a valid frame nor one line."""
    found: Counter[str] = Counter()
    try:
        converted = vs.core.dslnet.Convert(clip, model=model, format=output, scene_cuts=cuts)
    except vs.Error as error:
        check_text(str(error))
        found["clips refused"] += 1
        return found
    assert len(converted) == len(clip), "another number of frames"
    for n in range(len(converted)):
        try:
            frame = converted.get_frame(n)
        except vs.Error as error:
            check_text(str(error))
            found["frames refused"] += 1
            continue
        check_frame(frame, converted)
        frame.close()
        found["frames"] += 1
    return found


def check_text(text: str) -> None:
    """One line that says something."""
    assert text.strip(), "an empty error"
    assert "\n" not in text, f"more than one line: {text!r}"
    assert "Traceback" not in text, text


def check_frame(frame: vs.VideoFrame, clip: Any) -> None:
    """The format promised, finite values within it, HDR10's properties."""
    assert (frame.format.id, frame.width, frame.height) == (clip.format.id, clip.width, clip.height)
    is_rgb = frame.format.color_family == vs.RGB
    for plane in range(frame.format.num_planes):
        values = np.asarray(frame[plane])
        if frame.format.sample_type == vs.FLOAT:
            assert np.isfinite(values).all(), "not finite"
            assert not is_rgb or (values.min() >= -1e-3 and values.max() <= 1.001), "RGB outside 0..1"
        else:
            assert values.max() < 2**frame.format.bits_per_sample, "more than the format's bits"
    props = frame.props
    assert (props["_Transfer"], props["_Primaries"]) == (16, 9)
    assert props["_Matrix"] == (0 if is_rgb else 9)
    assert 0 <= props["DSLNetAverageNits"] <= props["DSLNetMaxNits"] <= 1000.1


def run(examples: int, number: int) -> dict[str, Any]:
    """Generate and convert in this process, which ends at once over an example that hangs."""
    found: Counter[str] = Counter()
    failures: list[str] = []
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        model = str(save_small_network(Path(folder) / "clips.safetensors", tiny=True))
        vs.core.dslnet.Convert(vs.core.std.BlankClip(format=vs.GRAY8, length=1), model=model).get_frame(0)

        @seed(number)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(clips(), _OUTPUTS, st.sampled_from(["props", "detect", "none"]))
        def one(clip: Any, output: int | None, cuts: str) -> None:
            nonlocal slowest
            began = time.perf_counter()
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
            try:
                found.update(outcome(clip, model, output, cuts))
            except Exception as error:
                what = f"{clip.format and clip.format.name} {clip.width}x{clip.height}, {len(clip)} frames"
                failures.append(f"{what}: {type(error).__name__}: {error}")
            finally:
                faulthandler.cancel_dump_traceback_later()
            slowest = max(slowest, time.perf_counter() - began)
            found["clips"] += 1

        one()
    return {"found": found, "failures": failures, "slowest_seconds": slowest}


def measure(options: Options) -> list[Figure]:
    """The promises, from a process that may die of them."""
    examples = 60 if options.quick else 1000
    done = run_module(__name__, "--examples", examples, timeout_seconds=3000)
    words = "generated clips give valid frames or one line of error"
    if done.returncode:
        return [none_of(words, [f"crash or hang: {how_it_ended(done)}"], examples, "clips")]
    result = json.loads(done.stdout.splitlines()[-1])
    found = result["found"]
    counted = f"clips ({found.get('clips refused', 0)} refused; {found.get('frames', 0)} frames given,"
    return [
        none_of(words, result["failures"], found["clips"], f"{counted} {found.get('frames refused', 0)} refused)"),
        at_most("the slowest of them", result["slowest_seconds"], HANG_SECONDS, "s"),
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.examples, arguments.seed)))


if __name__ == "__main__":
    main()
