"""Many files in one call."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from plugin_tests.encode.conftest import Command
from plugin_tests.encode.media import InProcessExecutor, decoded_video, make_clip
from vsdslnet.encode.batch import Conversion, conversions_of, encode_files
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.errors import ArgumentError, BackendError, JobError, MediaError, OutputError
from vsdslnet.options import JobOptions


@pytest.fixture
def settings(settings: EncodeSettings) -> EncodeSettings:
    """Plain conversion: what is tested here is not the picture, and a network takes ten times as long."""
    return replace(settings, strength=0.0)


@pytest.fixture
def films(tmp_path: Path) -> list[Path]:
    """Two films of a few frames, a file that is none, and a third film."""
    folder = tmp_path / "films"
    folder.mkdir()
    films = [make_clip(folder / f"{name}.mkv", frames=8, audio=False) for name in ("a", "b", "d")]
    (folder / "c.mkv").write_text("no film")
    return [*films[:2], folder / "c.mkv", films[2]]


def test_each_becomes_a_file_in_the_folder(films: list[Path], tmp_path: Path) -> None:
    files = conversions_of(films, output=None, output_dir=tmp_path / "new" / "out")
    assert [file.output for file in files] == [tmp_path / "new" / "out" / f"{name}.hdr10.mkv" for name in "abcd"]
    assert (tmp_path / "new" / "out").is_dir()
    assert conversions_of(films, output=None, output_dir=None)[0] == Conversion(
        films[0], films[0].with_name("a.hdr10.mkv")
    )
    assert conversions_of(films[:1], output=tmp_path / "x.mp4", output_dir=None) == [
        Conversion(films[0], tmp_path / "x.mp4")
    ]


def test_a_pattern_that_no_shell_expanded_is_expanded(films: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = films[0].parent
    assert [file.source for file in conversions_of([folder / "[ab].mkv"], output=None, output_dir=None)] == films[:2]
    monkeypatch.chdir(folder)
    assert [file.source.name for file in conversions_of([Path("*.mkv")], output=None, output_dir=None)] == [
        "a.mkv", "b.mkv", "c.mkv", "d.mkv",
    ]  # fmt: skip
    (folder / "odd[1].mkv").write_bytes(b"")
    assert [file.source.name for file in conversions_of([folder / "odd[1].mkv"], output=None, output_dir=None)] == [
        "odd[1].mkv"
    ]
    with pytest.raises(MediaError, match=r"\*\.mov: no file has such a name"):
        conversions_of([folder / "*.mov"], output=None, output_dir=None)


def test_what_contradicts_itself_is_refused(films: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"output=.*only with one source, not 2; use --output-dir"):
        conversions_of(films[:2], output=tmp_path / "x.mkv", output_dir=None)
    with pytest.raises(ArgumentError, match=r"output=.*only without --output-dir"):
        conversions_of(films[:1], output=tmp_path / "x.mkv", output_dir=tmp_path)
    twin = tmp_path / "a.mp4"
    with pytest.raises(ArgumentError, match=r"source=.*a\.mp4.*both would become .*a\.hdr10\.mkv"):
        conversions_of([films[0], twin], output=None, output_dir=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file: can't be made"):
        conversions_of(films[:1], output=None, output_dir=tmp_path / "file")


def test_one_that_fails_does_not_stop_the_rest(
    films: list[Path], tmp_path: Path, settings: EncodeSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    files = conversions_of(films, output=None, output_dir=tmp_path / "out")
    failure = encode_files(files, settings, JobOptions(json_lines=True), executor=InProcessExecutor())
    assert isinstance(failure, MediaError)
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == [f"{name}.hdr10.mkv" for name in "abd"]
    assert all(len(decoded_video(path)) == 8 for path in (tmp_path / "out").iterdir())
    told = capsys.readouterr()
    events = [json.loads(line) for line in told.out.splitlines()]
    assert [(e["number"], Path(e["source"]).name) for e in events if e["event"] == "file"] == [
        (1, "a.mkv"), (2, "b.mkv"), (4, "d.mkv"),
    ]  # fmt: skip
    assert events[0]["event"] == "failed", "a file that is none is told of before the work"
    assert events[-1] == {"event": "summary", "done": 3, "kept": 0, "failed": 1}
    assert told.err.count("\n") == 1

    again = InProcessExecutor()
    assert isinstance(encode_files(files, settings, JobOptions(json_lines=True), executor=again), MediaError)
    assert again.made == [], "what is there already is kept"
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "event": "summary", "done": 0, "kept": 3, "failed": 1,
    }  # fmt: skip


def test_a_stop_goes_on_with_the_file_it_stopped_in(
    films: list[Path], tmp_path: Path, settings: EncodeSettings
) -> None:
    files = conversions_of([*films[:2], films[3]], output=None, output_dir=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        encode_files(files, settings, JobOptions(quiet=True), executor=InProcessExecutor(limit=1))
    assert files[0].output.exists() and not files[1].output.exists()
    going_on = InProcessExecutor()
    assert encode_files(files, settings, JobOptions(quiet=True), executor=going_on) is None
    assert all(file.output.exists() for file in files)
    assert len(going_on.made) == 2


class _CanNotRun(InProcessExecutor):
    def check(self, settings: EncodeSettings) -> None:
        raise BackendError("no device")


class _FullDisk(InProcessExecutor):
    def check(self, settings: EncodeSettings) -> None:
        raise JobError("no space is left")


def test_what_all_files_would_fail_of_stops_at_once(
    films: list[Path], tmp_path: Path, settings: EncodeSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    files = conversions_of(films[:2], output=None, output_dir=tmp_path)
    with pytest.raises(BackendError):
        encode_files(files, settings, JobOptions(), executor=_CanNotRun())
    assert isinstance(encode_files(files, settings, JobOptions(), executor=_FullDisk()), JobError)
    told = capsys.readouterr().err
    assert "2 files: 0 done, 0 there already, 2 failed" in told
    assert "failed: " in told


def test_the_command_takes_many_and_its_exit_code_says_so(films: list[Path], tmp_path: Path, command: Command) -> None:
    nothing = command("encode", films[2], tmp_path / "missing.mkv", "--output-dir", tmp_path / "out")
    assert nothing.returncode == 3
    assert "c.mkv: is not a media file" in nothing.stderr
    assert "missing.mkv: there is no such file" in nothing.stderr
    assert "2 files: 0 done, 0 there already, 2 failed" in nothing.stderr
    assert [line for line in nothing.stderr.splitlines() if line.startswith("failed: ")] == [
        f"failed: {films[2]}: is not a media file that can be read; check that it plays",
        f"failed: {tmp_path / 'missing.mkv'}: there is no such file; check the path",
    ]
    both = command("encode", *films[:2], "-o", tmp_path / "x.mkv")
    assert both.returncode == 2
    assert "use --output-dir" in both.stderr
    none = command("encode")
    assert none.returncode == 2
    assert "Traceback" not in nothing.stderr + both.stderr + none.stderr
