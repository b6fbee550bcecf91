"""Scripts as sources, whole: the picture is the script's, all else the other file's; resumed, refused, by workers."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from plugin_tests.encode.conftest import Command
from plugin_tests.encode.media import InProcessExecutor, decoded_video, make_clip, packets, video_times
from plugin_tests.reliability.crash.kill_encode import assert_no_orphans, finished_chunks, start
from vsdslnet.cli import main
from vsdslnet.encode.run import Finished, encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.given import given
from vsdslnet.encode.workers.local import LocalExecutor
from vsdslnet.errors import JobError, MediaError, OutputError
from vsdslnet.tools.film_cost import film_of
from vsdslnet.tools.lut import write_lut
from vsdslnet.tools.preview import write_report

PRELUDE = "from vapoursynth import core\nclip = core.bs.VideoSource('film.mkv', cachemode=0)\n"


@pytest.fixture
def quick(small_model: str) -> EncodeSettings:
    """Plain conversion in chunks of eight frames."""
    return EncodeSettings(model=small_model, strength=0.0, preset="draft", encoder="av", chunk_frames=8)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 frames of varying length, sound, chapters, a font and tags."""
    return make_clip(
        tmp_path_factory.mktemp("film") / "film.mkv",
        frames=24,
        vfr=True,
        chapters=True,
        attachment=b"a font, say",
        tags={"title": "A film"},
    )


def script(film: Path, text: str, name: str = "film.vpy") -> Path:
    path = film.with_name(name)
    path.write_text(PRELUDE + text)
    return path


def encode(source: Path, output: Path, settings: EncodeSettings, **options: Any) -> tuple[Finished, list[int]]:
    executor = InProcessExecutor(limit=options.pop("limit", None))
    return encode_file(source, output, settings, executor=executor, **options), executor.made


def greys(path: Path) -> np.ndarray[Any, Any]:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray()[: frame.height].astype(int) for frame in container.decode(video=0)])


def test_the_picture_is_the_script_s_and_all_else_the_file_s(film: Path, quick: EncodeSettings, tmp_path: Path) -> None:
    path = script(film, "clip.std.Crop(top=8, bottom=8).std.FlipHorizontal().set_output()")
    done, _ = encode(path, tmp_path / "out.mkv", quick, tracks=film)
    plain, _ = encode(film, tmp_path / "plain.mkv", quick)
    assert (done.frames, done.dropped) == (24, [])
    assert video_times(done.output) == pytest.approx(video_times(film), abs=0.0011)
    expected = greys(plain.output)[:, 8:-8, ::-1]
    assert np.abs(greys(done.output) - expected).mean() < 4  # both are coded, in codes of 10 bits
    assert packets(done.output, "audio") == packets(plain.output, "audio")
    with av.open(str(done.output)) as container:
        assert container.metadata["title"] == "A film"
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["One", "Two"]
        assert container.streams.attachments[0].data == b"a font, say"
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height, frame.color_trc, frame.color_primaries) == (96, 48, 16, 9)


def test_another_number_of_frames_has_the_script_s_rate(film: Path, quick: EncodeSettings, tmp_path: Path) -> None:
    doubled = "core.std.Interleave([clip, clip]).std.AssumeFPS(fpsnum=41).set_output()"
    done, _ = encode(script(film, doubled), tmp_path / "out.mkv", quick, tracks=film)
    assert video_times(done.output) == pytest.approx(np.arange(48) / 41, abs=0.0011)
    assert done.dropped == [
        "the frame times of film.mkv (its picture has 24 frames, the script gives 48 frames at 41 fps)"
    ]
    assert packets(done.output, "audio") == packets(encode(film, tmp_path / "p.mkv", quick)[0].output, "audio")


def test_sound_that_would_drift_is_refused_before_the_work(film: Path, quick: EncodeSettings, tmp_path: Path) -> None:
    path = script(film, "clip.std.Trim(6).set_output()")
    with pytest.raises(MediaError, match=r"its 18 frames .*the sound would drift; cut --tracks"):
        encode(path, tmp_path / "out.mkv", quick, tracks=film)
    assert not (tmp_path / "out.mkv.vsdslnet").exists()


def test_without_tracks_there_is_the_picture_alone(film: Path, quick: EncodeSettings, tmp_path: Path) -> None:
    with_alpha = "clip.set_output(0, clip.std.ShufflePlanes(0, vs.GRAY))"
    text = f"import vapoursynth as vs\nclip = clip.std.AssumeFPS(fpsnum=30000, fpsden=1001)\n{with_alpha}"
    path = script(film, text)
    done, _ = encode(path, tmp_path / "out.mp4", quick)
    with av.open(str(done.output)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert container.streams.video[0].average_rate == pytest.approx(30000 / 1001)
    assert [what.split(" (")[0] for what in done.dropped] == ["alpha", "sound, subtitles and chapters"]


def test_it_is_evaluated_once_here_and_once_by_who_makes_chunks(
    film: Path, quick: EncodeSettings, tmp_path: Path
) -> None:
    path = script(film, f"open({str(tmp_path / 'times')!r}, 'a').write('x')\nclip[:8].set_output()")
    encode(path, tmp_path / "out.mkv", quick)
    assert (tmp_path / "times").read_text() == "xx"


def test_tracks_of_sound_alone(film: Path, quick: EncodeSettings, tmp_path: Path) -> None:
    with av.open(str(film)) as source, av.open(str(tmp_path / "sound.mka"), "w") as output:
        sound = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = sound
                output.mux(packet)
    path = script(film, "clip.set_output()")
    done, _ = encode(path, tmp_path / "out.mkv", quick, tracks=tmp_path / "sound.mka")
    with av.open(str(done.output)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
    assert done.dropped == []


@pytest.mark.parametrize("format", ["YUV444P16", "RGB24", "GRAY8"])
def test_other_formats(format: str, film: Path, quick: EncodeSettings, tmp_path: Path) -> None:
    of_yuv = ", matrix_in_s='709'" if format == "RGB24" else ""
    text = f"import vapoursynth as vs\nclip.resize.Bicubic(format=vs.{format}{of_yuv}).set_output()"
    done, _ = encode(script(film, text), tmp_path / "out.mkv", quick)
    assert done.frames == 24


def test_arguments_and_the_caller_s_folder(
    film: Path, quick: EncodeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    example = Path(__file__).parents[2] / "scripts" / "examples" / "hdr10.vpy"
    convert = "core.dslnet.Convert(clip, format=vs.YUV420P10)"
    text = example.read_text().replace(convert, "clip[:int(last)]")
    path = tmp_path / "film.vpy"
    path.write_text(text)
    monkeypatch.chdir(film.parent)
    options = ["--model", quick.model, "--strength", "0", "--preset", "draft", "--encoder", "av", "--quiet"]
    ran = command(
        "encode", path, "-o", tmp_path / "out.mkv", "-a", "source=film.mkv", "--script-arg", "last=9", *options
    )
    assert (ran.returncode, ran.stderr) == (0, "")  # the worker found the file from the caller's folder too
    assert len(video_times(tmp_path / "out.mkv")) == 9
    wrong = command("encode", path, "-o", tmp_path / "o.mkv", "-a", "source", *options)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "script-arg='source' is not allowed: name=value" in wrong.stderr
    broken = command("encode", path, "-o", tmp_path / "o.mkv", "-a", "source=none.mkv", *options)
    assert (broken.returncode, broken.stderr.count("\n")) == (3, 1)
    assert re.match(r"vsdslnet: .*film\.vpy: line 12: .*none\.mkv", broken.stderr)


def test_a_stopped_script_s_job_goes_on_to_the_same_bits(film: Path, quick: EncodeSettings, tmp_path: Path) -> None:
    path = script(film, "clip.std.FlipVertical().set_output()")
    output, whole = tmp_path / "out.mkv", tmp_path / "whole.mkv"
    with pytest.raises(KeyboardInterrupt):
        encode(path, output, quick, tracks=film, limit=1)
    encode_file(path, output, quick, tracks=film, executor=LocalExecutor(threads=1))
    encode(path, whole, quick, tracks=film)
    assert decoded_video(output) == decoded_video(whole)
    assert packets(output, "audio") == packets(whole, "audio")


@pytest.mark.skipif(os.name != "posix", reason="sessions and their signals")
def test_a_script_s_job_killed_from_outside_goes_on_to_the_same_bits(
    film: Path, quick: EncodeSettings, tmp_path: Path
) -> None:
    # A script slow enough that the kill comes between the first chunk and the last.
    text = "import time\n\ndef slow(n):\n    time.sleep(0.05)\n    return clip\n\nclip.std.FrameEval(slow).set_output()"
    path = script(film, text, "slow.vpy")
    output, whole = tmp_path / "out.mkv", tmp_path / "whole.mkv"
    options = ["--tracks", str(film), "--model", quick.model, "--strength", "0", "--preset", "draft"]
    options += ["--encoder", "av", "--chunk-frames", "8", "--workers", "1"]
    process = start(path, output, options)
    deadline = time.monotonic() + 100
    while not finished_chunks(output) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before the kill"
    assert_no_orphans(process.pid)
    kept = finished_chunks(output)
    assert kept and not output.exists()
    _, made = encode(path, output, quick, tracks=film, keep=True)
    assert set(made) == {0, 1, 2} - {int(name[6:12]) for name in kept}
    assert kept.items() <= finished_chunks(output).items(), "a finished chunk was made again"
    encode(path, whole, quick, tracks=film)
    assert decoded_video(output) == decoded_video(whole)
    assert packets(output, "audio") == packets(whole, "audio")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: path.write_text(path.read_text() + "# another thought\n"), "the source file has changed"),
        (lambda path: path.with_name("frames.txt").write_text("17"), "frames.txt, which the script names, has changed"),
    ],
)
def test_a_script_that_changed_is_refused(
    change: Any, says: str, film: Path, quick: EncodeSettings, tmp_path: Path
) -> None:
    film.with_name("frames.txt").write_text("24")
    path = script(film, "clip[:int(open('frames.txt').read())].set_output()\n", "changing.vpy")
    with pytest.raises(KeyboardInterrupt):
        encode(path, tmp_path / "out.mkv", quick, limit=1)
    change(path)
    with pytest.raises(JobError, match=f"holds a job begun otherwise: .*{says}"):
        encode(path, tmp_path / "out.mkv", quick)


def test_other_arguments_or_tracks_are_refused(film: Path, quick: EncodeSettings, tmp_path: Path) -> None:
    path = script(film, "clip[:int(globals().get('last', 24))].set_output()")
    with pytest.raises(KeyboardInterrupt):
        encode(path, tmp_path / "out.mkv", quick, limit=1)
    with pytest.raises(JobError, match="script-arg last None -> '24'"):
        encode(path, tmp_path / "out.mkv", quick, script_args={"last": "24"})
    with pytest.raises(JobError, match="tracks were not given"):
        encode(path, tmp_path / "out.mkv", quick, tracks=film)
    assert encode(path, tmp_path / "out.mkv", quick)[1] == [1, 2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "clip.std.FrameEval(lambda n: clip if n < 20 else clip.std.Nothing()).set_output()",
            "near frame (19|20): .*line 3: .*Nothing",
        ),
        ("core.std.Splice([clip, clip.std.SetFrameProps(_Transfer=16)]).set_output()", "is HDR from frame 24 on"),
        ("core.std.Splice([clip, clip.std.SetFieldBased(1)]).set_output()", "frame 24 is interlaced; .*in the script"),
    ],
)
def test_what_is_wrong_further_on_is_told_before_the_work(
    text: str, says: str, film: Path, quick: EncodeSettings, tmp_path: Path
) -> None:
    with pytest.raises(MediaError, match=says) as caught:
        encode(script(film, text), tmp_path / "out.mkv", quick)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_tracks_are_no_output(film: Path, quick: EncodeSettings) -> None:
    with pytest.raises(OutputError, match="is the source itself"):
        encode(script(film, "clip.set_output()"), film, quick, tracks=film, overwrite=True)


def test_info_bench_preview_and_lut_take_scripts(
    film: Path, quick: EncodeSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = script(film, "clip.std.AssumeFPS(fpsnum=25)[:int(last)].set_output()")
    with pytest.raises(SystemExit):
        main(["info", str(path), "-a", "last=20", "--tracks", str(film)])
    told = capsys.readouterr().out
    assert told.splitlines()[0] == f"{path}: 96x64, 25.000 fps, 0.800 s; SDR, can be converted"
    assert "as .mp4: without attachment 'note.txt'" in told
    named = given(path, arguments={"last": "20"})
    assert write_lut(named, tmp_path / "scene.cube", quick, at_seconds=0.4) == 10
    assert write_report(named, tmp_path / "page.html", quick, at_seconds=[0.4]) == [10]
    found = film_of(named)
    assert (found.width, found.height, found.frames) == (96, 64, 20)
    with av.open(str(film)) as container:
        decoded = [frame.to_ndarray() for frame in container.decode(video=0)]
    assert np.array_equal(found.shown[0].to_ndarray(), decoded[6])
