"""Files whose picture changes on the way: told by ``info``, which does not look at every frame, and by an encode."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from plugin_tests.encode.container.odd_media import film, join
from plugin_tests.encode.media import InProcessExecutor
from vsdslnet.cli import app
from vsdslnet.encode.progress import QuietReporter
from vsdslnet.encode.run import encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.further_on import look_further_on
from vsdslnet.encode.source.probe import probe
from vsdslnet.errors import MediaError

PQ = {"x264-params": "transfer=smpte2084:colorprim=bt2020:colormatrix=bt2020nc"}


def changing(folder: Path, **later: Any) -> Path:
    """A recording of a second, and one behind it that is otherwise."""
    first = film(folder / "a.ts", rate=Fraction(25), frames=25, sound=None)
    second = film(folder / "b.ts", rate=Fraction(25), frames=25, sound=None, start_seconds=1, **later)
    return join(folder / "in.ts", first, second)


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ({"size": (96, 48)}, "its picture changes before {} s from 64x48 yuv420p to 96x48 yuv420p; .*scale=64:48"),
        ({"pixel_format": "yuv422p"}, "its picture changes before {} s from .* to 64x48 yuv422p; .*-pix_fmt yuv420p"),
        ({"codec_options": {"x264-params": "tff=1"}}, "is interlaced at {} s; deinterlace it"),
        ({"codec_options": PQ}, r"is HDR at {} s \(_Transfer=16, PQ\).*--transfer-in 1"),
    ],
    ids=["size", "format", "interlaced", "HDR"],
)
def test_info_refuses_what_an_encode_would_refuse_later(later: dict[str, Any], words: str, tmp_path: Path) -> None:
    source = changing(tmp_path, **later)
    with pytest.raises(MediaError, match=words.format(r"(0\.9|1\.0)\d\d")):
        app(["info", str(source)], result_action="return_value")


def test_what_the_user_knows_better_is_believed_further_on(tmp_path: Path) -> None:
    assert look_further_on(probe(changing(tmp_path, codec_options=PQ)), transfer_in=1) == ()


def test_a_film_that_stays_as_it_is_has_nothing_to_tell(tmp_path: Path) -> None:
    assert look_further_on(probe(changing(tmp_path))) == ()


def test_pixels_of_another_shape_are_told_before_the_work(
    small_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = changing(tmp_path, codec_options={"x264-params": "sar=4/3"})
    app(["info", str(source)], result_action="return_value")
    assert "will not be in the file: pixels of 4:3 from " in capsys.readouterr().out
    settings = EncodeSettings(model=small_model, strength=0.0, preset="draft", encoder="av")
    done = encode_file(source, tmp_path / "out.mkv", settings, executor=InProcessExecutor(), reporter=QuietReporter())
    assert done.frames == 50
    assert any(told.startswith("pixels of 4:3 from ") for told in done.dropped)
