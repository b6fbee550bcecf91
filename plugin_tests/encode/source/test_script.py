"""Scripts are evaluated as vspipe does it; what is wrong with one is told in one line, with the script's own line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs

from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.given import given
from vsdslnet.encode.source.look import look_at
from vsdslnet.encode.source.script import ScriptCall, evaluate
from vsdslnet.errors import ArgumentError, MediaError

PRELUDE = "import vapoursynth as vs\ncore = vs.core\n"
CLIP = "core.std.BlankClip(format=vs.YUV420P8, width=96, height=64, length=5)"


def script(folder: Path, text: str, name: str = "film.vpy") -> Path:
    path = folder / name
    path.write_text(PRELUDE + text, encoding="utf-8")
    return path


def looked_at(path: Path, **options: Any) -> Any:
    named = given(path, **options)
    named.check()
    return look_at(named, EncodeSettings())


def test_a_script_sees_what_vspipe_shows_it(tmp_path: Path, script_env: dict[str, str]) -> None:
    folder, caller = tmp_path / "scripts", tmp_path / "caller"
    folder.mkdir()
    caller.mkdir()
    seen = (
        "import os, sys\nseen = (os.getcwd(), __name__, source, os.environ['PWD'], sys.argv)\n"
        "open(told, 'w').write(repr(seen))\n"
    )
    path = script(folder, f"{seen}{CLIP}.set_output()")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    environment = script_env | {"PWD": str(caller)}
    arguments = ["-a", f"told={theirs}", "-a", "source=a=b c", str(path)]
    vspipe = Path(sys.executable).with_name("vspipe")
    subprocess.run([vspipe, "--info", *arguments], check=True, env=environment, cwd=caller, capture_output=True)
    before = Path.cwd(), os.environ.get("PWD"), sys.argv, list(sys.path)
    evaluate(path, ScriptCall(arguments={"told": str(ours), "source": "a=b c"}, called_from=str(caller)))
    assert ours.read_text() == theirs.read_text()
    assert (Path.cwd(), os.environ.get("PWD"), sys.argv, list(sys.path)) == before


def test_outputs_set_before_stay(core: Any, tmp_path: Path) -> None:
    mine = core.std.BlankClip(length=7)
    mine.set_output(0)
    try:
        output = evaluate(script(tmp_path, f"{CLIP}.set_output()\n{CLIP}.set_output(3)"), ScriptCall())
        assert len(output.clip) == 5
        outputs = vs.get_outputs()
        assert (list(outputs), len(outputs[0].clip)) == ([0], 7)
    finally:
        vs.clear_outputs()


def test_modules_of_one_folder_are_not_another_s(tmp_path: Path) -> None:
    lengths = []
    for length in (2, 3):
        folder = tmp_path / str(length)
        folder.mkdir()
        (folder / "helper.py").write_text(f"length = {length}\n")
        text = f"import sys\nsys.path.insert(0, '.')\nimport helper\n{CLIP}[:helper.length].set_output()"
        lengths.append(len(evaluate(script(folder, text), ScriptCall()).clip))
    assert lengths == [2, 3]


def test_what_it_prints_stays_off_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(script(tmp_path, f"print('hello')\n{CLIP}.set_output()"), ScriptCall())
    assert capsys.readouterr() == ("", "hello\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("clip = core.nonsense.Source('x')", r"line 3: AttributeError: No attribute .*nonsense.* \[clip = core"),
        ("def f():\n    return 1 / 0\nf()", r"line 4: ZeroDivisionError: division by zero \[return 1 / 0\]"),
        ("if True\n    pass", r"line 3: expected ':' \[if True\]"),
        ("core.std.BlankClip(length=-1)", r"line 3: BlankClip: .*length"),
        ("import sys\nsys.exit('no film')", r"line 4: ends itself \(no film\)"),
        ("import no_such_module", "line 3: ModuleNotFoundError: No module named 'no_such_module'"),
        (f"clip = {CLIP}", r"sets no output 0; end it with clip\.set_output\(\)"),
        ("core.std.BlankAudio().set_output()", "output 0 is sound"),
        ("core.std.BlankClip(varsize=1).set_output()", "changes its format or size: make it constant"),
        ("core.std.BlankClip(varformat=1).set_output()", "changes its format or size: make it constant"),
        (f"{CLIP}.std.SetFrameProps(_Transfer=16).set_output()", r"is HDR from frame 0 on \(_Transfer=16, PQ\)"),
        (f"{CLIP}.std.SetFrameProps(_Transfer=18).set_output()", r"is HDR from frame 0 on \(_Transfer=18, HLG\)"),
        (f"{CLIP}.std.SetFieldBased(2).set_output()", "frame 0 is interlaced; deinterlace it: do it in the script"),
        (f"c = {CLIP}\nc.std.FrameEval(lambda n: c.std.Trim(9, 1)).set_output()", "frame 0: .*line 4: .*Trim: .*end"),
        (f"c = {CLIP}\nc.std.ModifyFrame(c, lambda n, f: 1 / n).set_output()", "frame 0: .*ZeroDivisionError"),
    ],
)
def test_what_is_wrong_is_told_with_the_script_s_line(text: str, says: str, tmp_path: Path) -> None:
    path = script(tmp_path, text)
    with pytest.raises(MediaError, match=says) as caught:
        looked_at(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_one_that_holds_convert_is_told_so(core: Any, small_model: str, tmp_path: Path) -> None:
    path = script(tmp_path, f"{CLIP}.dslnet.Convert(model={small_model!r}, strength=0).set_output()")
    with pytest.raises(MediaError, match=r"already holds core\.dslnet\.Convert, which is called here; take it out"):
        looked_at(path)


def test_sdr_that_is_tagged_hdr_is_believed_the_user(tmp_path: Path) -> None:
    path = script(tmp_path, f"{CLIP}.std.SetFrameProps(_Transfer=16).set_output()")
    assert look_at(given(path), EncodeSettings(transfer_in=1)).width == 96


@pytest.mark.parametrize("format", ["YUV420P8", "YUV444P16", "RGB24", "RGBS", "GRAY10", "YUV410P8"])
def test_any_kind_that_convert_takes(format: str, tmp_path: Path) -> None:
    clip = (
        f"core.std.BlankClip(format=vs.{format}, width=64, height=32, length=5)"
        if format != "GRAY10"
        else ("core.std.BlankClip(format=vs.GRAY8, width=64, height=32, length=5).resize.Point(format=vs.GRAY10)")
    )
    clip += ".std.SetFrameProps(_SARNum=16, _SARDen=15)"
    info = looked_at(script(tmp_path, f"{clip}.std.AssumeFPS(fpsnum=30000, fpsden=1001).set_output()"))
    assert (info.width, info.height, info.sample_aspect) == (64, 32, (16, 15))
    assert (info.is_rgb, info.claimed_rates) == (format.startswith("RGB"), ((30000, 1001),))
    assert info.left_out == ("sound, subtitles and chapters (a script has none; --tracks names a file that has)",)


def test_alpha_is_left_out_and_said_so(tmp_path: Path) -> None:
    alpha = "core.std.BlankClip(format=vs.GRAY8, width=96, height=64, length=5)"
    info = looked_at(script(tmp_path, f"{CLIP}.set_output(0, {alpha})"))
    assert info.left_out[0] == "alpha (HDR10 pictures are opaque)"


def test_wrong_names_are_told(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "film.avs").write_text('AviSource("film.avi")')
    (tmp_path / "folder.vpy").mkdir()
    for name, says in [
        ("film.avs", r"is an AviSynth script, and scripts have to be VapourSynth's \(\.vpy\); .*ffv1"),
        ("missing.vpy", "there is no such file"),
        ("folder.vpy", "is a directory"),
    ]:
        with pytest.raises(MediaError, match=says):
            looked_at(tmp_path / name)
    path = script(tmp_path, f"{CLIP}.set_output()")
    with pytest.raises(MediaError, match=r"none\.mkv: there is no such file"):
        looked_at(path, tracks=tmp_path / "none.mkv")
    with pytest.raises(ArgumentError, match=r"tracks=.*only beside a script \(\.vpy\)"):
        given(clip, tracks=clip)
    with pytest.raises(ArgumentError, match=r"script-arg=.*only with a script"):
        given(clip, arguments={"a": "b"})
    with pytest.raises(ArgumentError, match=r"script-arg='2nd'.*name=value"):
        given(path, arguments={"2nd": "b"})
    with pytest.raises(ArgumentError, match=r"crop='auto'.*only with a video file; do it in the script"):
        look_at(given(path), EncodeSettings(crop="auto"))
