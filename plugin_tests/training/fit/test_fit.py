"""vsdslnet fit: a grade is found from examples, and no more of it is believed than they agree on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from plugin_tests.command_line import run_command
from plugin_tests.small_network import save_small_network
from vsdslnet import weights
from vsdslnet.color.measured import MEASURED, ToneCurve, expand
from vsdslnet.color.transfer import nits_to_pq, srgb_to_linear
from vsdslnet.errors import ArgumentError, MediaError
from vsdslnet.inference.look import regrade
from vsdslnet.looks import NODES, Look, read_look
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.evaluation import temporal_checks
from vsdslnet.training.evaluation.formulas import neighbourhood_base_nits
from vsdslnet.training.evaluation.metrics import psnr_db
from vsdslnet.training.fit.examples import Example, examples_of, stills
from vsdslnet.training.fit.grade import Fitted, base_nodes_pq, fit_look
from vsdslnet.training.fit.steadiness import kept_steady, softened

FILM = MEASURED._replace(shadow_stops=-0.9, highlight_stops=2.5)


def picture(seed: int) -> Tensor:
    """Soft patches over most of the levels, 8-bit."""
    random = np.random.default_rng(seed)
    patches = random.uniform(0, 1, (9, 12, 3)) * random.uniform(0.4, 1)
    smooth = cv2.resize(patches.astype(np.float32), (240, 160), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    return torch.from_numpy(np.rint(255 * smooth) / 255).movedim(-1, 0).float()


def example(seed: int, curve: ToneCurve = FILM) -> Example:
    sdr = picture(seed)
    return Example(f"made {seed}", sdr, nits_to_pq(expand(sdr, curve)))


def gain_db(look: Look, of: Example) -> float:
    base = nits_to_pq(neighbourhood_base_nits(of.sdr))
    return psnr_db(regrade(base, look), of.pq) - psnr_db(base, of.pq)


def test_one_fixed_mapping_is_found_from_a_few_pictures() -> None:
    fitted = fit_look([example(seed) for seed in range(6)])
    assert fitted.belief == 1
    assert not fitted.warnings
    assert fitted.after.psnr_db > fitted.before.psnr_db + 8
    assert abs(fitted.after.exposure_stops) < 0.1 < abs(fitted.before.exposure_stops)
    assert min(gain_db(fitted.look, example(seed)) for seed in range(6, 12)) > 8


def test_pictures_that_were_each_graded_by_themselves_leave_it_near_the_base() -> None:
    shifts = [-1.2, 1.1, -0.9, 1.3, 0.1, -0.2]
    each = [example(k, MEASURED._replace(shadow_stops=MEASURED.shadow_stops + s)) for k, s in enumerate(shifts)]
    fitted = fit_look(each)
    assert fitted.belief < 0.5
    assert any("don't agree" in text for text in fitted.warnings)
    assert np.mean([gain_db(fitted.look, one) for one in each]) > -0.2


def test_masters_whose_gain_follows_the_neighbourhood_are_found_too() -> None:
    """As gain maps' do; a look turns the networks' picture, whose gain does so, and not the SDR level's."""
    made = [picture(seed) for seed in range(8)]
    masters = [nits_to_pq(neighbourhood_base_nits(sdr, FILM)) for sdr in made]
    examples = [Example(f"made {k}", *sides) for k, sides in enumerate(zip(made, masters, strict=True))]
    fitted = fit_look(examples[:4])
    assert fitted.belief == 1
    assert min(gain_db(fitted.look, one) for one in examples[4:]) > 12


def test_what_two_examples_may_say_by_chance_is_believed_of_eight() -> None:
    shifts = 4 * (0.5, 0.15)
    each = [example(k, MEASURED._replace(shadow_stops=MEASURED.shadow_stops - s)) for k, s in enumerate(shifts)]
    two, eight = fit_look(each[:2]), fit_look(each)
    assert (two.belief, eight.belief) == (0, 0.6)
    assert eight.after.psnr_db > eight.before.psnr_db + 3


def test_eight_of_twelve_are_not_believed_and_ten_are() -> None:
    """Of coins, one dozen in five falls so often or more; the mean gain alone would have such eight believed."""

    def of_twelve(down: int) -> Fitted:
        shifts = down * [-0.5] + (12 - down) * [0.5]
        shadows = [MEASURED.shadow_stops + shift for shift in shifts]
        return fit_look([example(k, MEASURED._replace(shadow_stops=stops)) for k, stops in enumerate(shadows)])

    eight, ten = of_twelve(8), of_twelve(10)
    assert (eight.belief, ten.belief) == (0, 1)


def test_one_example_is_half_believed_and_says_so() -> None:
    fitted = fit_look([example(0)])
    assert fitted.belief == 0.5
    assert "one example" in fitted.warnings[0]
    assert gain_db(fitted.look, example(5)) > 0


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda e: e._replace(sdr=torch.full_like(e.sdr, 0.5)), "all of one level"),
        (lambda e: e._replace(pq=e.pq.flip(-1)), "don't show the same picture"),
        (lambda e: e._replace(pq=e.sdr.pow(0.2), sdr=0.7 * e.sdr), "swapped"),
        (lambda e: e._replace(pq=e.sdr.pow(0.2), sdr=e.sdr / e.sdr.max()), "does not look like PQ"),
        (lambda e: e._replace(pq=0.85 * e.sdr, sdr=0.85 * e.sdr), "hold the same codes"),
        (lambda e: e._replace(pq=0.7 * srgb_to_linear(e.sdr)), r"does not look like PQ, it lies -\d"),
    ],
)
def test_bad_examples_are_refused_in_a_line_that_names_them(bad: Callable[[Example], Example], words: str) -> None:
    with pytest.raises(MediaError, match=words) as caught:
        fit_look([example(0), bad(example(1))])
    assert str(caught.value).startswith("made 1: ")


def write(folder: Path, seed: int) -> tuple[Path, Path]:
    made = example(seed)
    below, above = folder / f"{seed}.png", folder / f"{seed}-hdr.png"
    cv2.imwrite(str(below), (255 * made.sdr).round().byte().movedim(0, -1).numpy()[..., ::-1])
    cv2.imwrite(str(above), np.rint(65535 * made.pq.movedim(0, -1).numpy()).astype(np.uint16)[..., ::-1])
    return below, above


def test_stills_are_read_as_they_were_written(tmp_path: Path) -> None:
    files = [write(tmp_path, seed) for seed in (2, 1)]
    read = stills([below for below, _ in files], [above for _, above in files])
    assert [found.name for found in read] == ["1", "2"]
    assert torch.equal(read[1].sdr, example(2).sdr)
    assert (read[1].pq - example(2).pq).abs().max() < 1e-4


def test_what_does_not_pair_is_refused(tmp_path: Path) -> None:
    below, above = write(tmp_path, 0)
    with pytest.raises(ArgumentError, match=r"^hdr="):
        examples_of([below, below], [above])
    with pytest.raises(ArgumentError, match=r"^sdr=.*nope"):
        examples_of([tmp_path / "nope.png"], [above])
    with pytest.raises(MediaError, match="8 bits"):
        examples_of([above], [below])


def video(path: Path, frames: list[Tensor], *, hdr: bool) -> Path:
    """R'G'B' frames as a real file: HDR10's HEVC, or H.264 of BT.709."""
    import vapoursynth as vs

    height, width = frames[0].shape[1:]
    blank = vs.core.std.BlankClip(format=vs.RGBS, width=width, height=height, length=len(frames))

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        for plane in range(3):
            np.asarray(out[plane])[:] = frames[n][plane].numpy()
        return out

    filled = vs.core.std.ModifyFrame(blank, blank, fill)
    form, matrix = (vs.YUV420P10, "2020ncl") if hdr else (vs.YUV420P8, "709")
    yuv = filled.resize.Bicubic(format=form, matrix_s=matrix, range_s="limited")
    name, pixels = ("libx265", "yuv420p10le") if hdr else ("libx264", "yuv420p")
    options = {"crf": "4", "preset": "ultrafast"} | ({"x265-params": "log-level=none"} if hdr else {})
    with av.open(str(path), "w") as file:
        stream = file.add_stream(name, rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        context = stream.codec_context
        tags = (9, 16, 9) if hdr else (1, 1, 1)
        context.color_primaries, context.color_trc, context.colorspace = tags
        context.color_range = 1
        for each in yuv.frames():
            frame = av.VideoFrame(width, height, pixels)
            for plane, values in zip(frame.planes, each, strict=True):
                rows = np.frombuffer(plane, np.uint16 if hdr else np.uint8).reshape(plane.height, -1)
                rows[:, : values.shape[1]] = np.asarray(values)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def scenes(count: int, frames_each: int) -> list[Tensor]:
    """SDR frames that move, cut after cut; one scene is black, as films have them."""
    shots = [picture(50 + k) if k != 2 else torch.zeros(3, 160, 240) for k in range(count)]
    return [shot.roll(3 * n, dims=2) for shot in shots for n in range(frames_each)]


def test_a_film_in_both_versions_is_aligned_and_its_bars_are_cut(core: Any, tmp_path: Path) -> None:
    """SDR with bars above and below, HDR with bars at the sides and without the first seven frames."""
    sdr = scenes(6, 9)
    pq = [nits_to_pq(expand(frame, FILM)) for frame in sdr]
    below = video(tmp_path / "a.mkv", [torch.nn.functional.pad(frame, (0, 0, 20, 20)) for frame in sdr], hdr=False)
    above = video(tmp_path / "a.hdr.mkv", [torch.nn.functional.pad(f, (32, 32)) for f in pq[7:]], hdr=True)
    found = examples_of([below], [above])
    assert 3 <= len(found) <= 5, "the black scene is left out"
    for one in found:
        assert one.sdr.shape[1] == pytest.approx(160, abs=2)
        assert one.sdr.shape[2] == pytest.approx(240, abs=2)
    fitted = fit_look(found)
    assert fitted.after.psnr_db > fitted.before.psnr_db + 5
    assert gain_db(fitted.look, example(9)) > 5
    other = video(tmp_path / "b.hdr.mkv", [nits_to_pq(expand(picture(90 + n), FILM)) for n in range(30)], hdr=True)
    with pytest.raises(MediaError, match="do not show the same film"):
        examples_of([below], [other])


def test_places_of_a_long_film_are_spread_over_it(core: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vsdslnet.training.fit import examples

    frames = scenes(8, 9)
    path = video(tmp_path / "a.mkv", [nits_to_pq(expand(frame, FILM)) for frame in frames], hdr=True)
    film = examples.VideoFile(path, hdr=True)
    whole = examples._scene_middles(film)
    assert len(whole) == 8
    for name, value in (("_WHOLE_FRAMES", 50), ("_PLACE_FRAMES", 9), ("_FILM_EXAMPLES", 5)):
        monkeypatch.setattr(examples, name, value)
    places = examples._scene_middles(film)
    assert len(places) == 5
    assert places == sorted(places)
    assert places[0] < 14
    assert places[-1] > 56
    for place in places:
        assert place % 9 not in (0, 8), "no frame beside a cut"


def test_what_flickers_is_softened_until_it_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a network that adds nothing to its base: noise comes out 2.0 times plain conversion's, 1.5 is promised."""
    monkeypatch.setattr(temporal_checks, "_SCENE_SIZE", (32, 160))
    model = str(tmp_path / "base.safetensors")
    weights.save(
        DSLNet(DSLNetConfig(radius=1, features=4, kernel=3, chain=1, dynamic_kernel=3, condition_pixels=256)),
        Path(model),
    )
    fitted = fit_look([example(seed) for seed in range(3)])
    assert kept_steady(fitted, model) == fitted
    nodes = np.interp(np.linspace(0, 1, NODES), [0, 0.3, 0.6, 1], [0, 0.05, 0.7, 0.75])
    steepest = fitted.look._replace(nodes_pq=tuple(nodes.tolist()), saturation=1.0)
    with pytest.raises(MediaError, match=r"would flicker.*still scene under noise"):
        kept_steady(fitted._replace(look=steepest), model)
    steep = softened(steepest, 0.35)
    softer = kept_steady(fitted._replace(look=steep), model)
    assert "more would flicker" in softer.warnings[-1]
    base = base_nodes_pq()
    far, kept = (np.abs(np.array(look.nodes_pq) - base).max() for look in (steep, softer.look))
    assert 0.1 < kept / far < 0.75


def test_pictures_of_phones_and_cameras_are_read(core: Any, tmp_path: Path) -> None:
    """AVIF of 10 bits in P3 on the HDR side, JPEG on the SDR side."""
    from plugin_tests.stills.test_pictures import avif

    made = example(3)
    small = [torch.nn.functional.interpolate(side[None], (64, 96), mode="area")[0] for side in (made.sdr, made.pq)]
    cv2.imwrite(str(tmp_path / "a.jpg"), (255 * small[0]).round().byte().movedim(0, -1).numpy()[..., ::-1])
    [read] = examples_of([tmp_path / "a.jpg"], [avif(tmp_path / "a.avif", small[1], 9, 16)])
    assert float((read.pq - small[1]).abs().mean()) < 0.01
    assert float((read.sdr - small[0]).abs().mean()) < 0.02


def test_the_command_writes_a_look_that_convert_takes(tmp_path: Path) -> None:
    model = save_small_network(tmp_path / "tiny.safetensors", cheapest=True)
    files = [write(tmp_path, seed) for seed in range(3)]
    out = tmp_path / "mine.safetensors"
    command = ["fit", "-o", str(out), "--model", str(model)]
    command += ["--sdr", *(str(below) for below, _ in files), "--hdr", *(str(above) for _, above in files)]
    done = run_command(*command)
    assert done.returncode == 0, done.stderr
    assert "3 examples, each left out in turn" in done.stdout
    assert gain_db(read_look(str(out)), example(9)) > 5
    again = run_command(*command)
    assert again.returncode == 4
    assert "--overwrite" in again.stderr
