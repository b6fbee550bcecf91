"""vsdslnet fit: a grade is found from examples, and no more of it is believed than they agree on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vsdslnet.color.measured import MEASURED, ToneCurve, expand, measured_pq
from vsdslnet.color.transfer import nits_to_pq
from vsdslnet.errors import ArgumentError, MediaError
from vsdslnet.inference.look import regrade
from vsdslnet.looks import Look, read_look
from vsdslnet.training.evaluation.metrics import psnr_db
from vsdslnet.training.fit.examples import Example, examples_of, stills
from vsdslnet.training.fit.grade import fit_look

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
    base = measured_pq(of.sdr)
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


def test_the_command_writes_a_look_that_convert_takes(tmp_path: Path) -> None:
    files = [write(tmp_path, seed) for seed in range(3)]
    out = tmp_path / "mine.safetensors"
    command = [sys.executable, "-m", "vsdslnet.cli", "fit", "-o", str(out)]
    command += ["--sdr", *(str(below) for below, _ in files), "--hdr", *(str(above) for _, above in files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "3 examples, each left out in turn" in done.stdout
    assert gain_db(read_look(str(out)), example(9)) > 5
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 4
    assert "--overwrite" in again.stderr
