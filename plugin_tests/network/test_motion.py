"""Motion compensation: motion that is known is found, what stands still stays, and nothing depends on threads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from plugin_tests.questions import NoQuestions
from vsdslnet.network.motion import arithmetic
from vsdslnet.network.motion.compensation import compensate_, compensated, compensated_on_device
from vsdslnet.network.motion.estimate import motion_px
from vsdslnet.network.motion.fields import full_size

HEIGHT, WIDTH = 96, 160
MARGIN = 16


def texture(height: int, width: int, seed: int = 0) -> Tensor:
    """A picture (3, height, width) with structure of every size, within 0.1..0.9."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.zeros(1, 3, height, width)
    for size in (4, 8, 16, 48):
        coarse = torch.randn(1, 3, height // size + 2, width // size + 2, generator=generator)
        picture += F.interpolate(coarse, size=(height, width), mode="bicubic")
    return (0.5 + picture[0] / (picture.abs().max() * 2.5)).clamp(0, 1)


def moved(picture: Tensor, place: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    """The picture sampled at ``place(x, y)``, in px."""
    height, width = picture.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    x, y = place(x, y)
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)[None]
    return F.grid_sample(picture[None], grid, mode="bicubic", padding_mode="reflection", align_corners=False)[0]


def pan(dx: float, dy: float, frames: int = 5, seed: int = 0) -> Tensor:
    """Frames (F, 3, H, W) of a scene that moves by (dx, dy) px a frame."""
    scene = texture(HEIGHT, WIDTH, seed)
    return torch.stack([moved(scene, lambda x, y, k=k: (x - k * dx, y - k * dy)) for k in range(-2, frames - 2)])  # type: ignore[misc]


def inner(field: Tensor, margin: int = MARGIN) -> Tensor:
    return field[..., margin:-margin, margin:-margin]


def noisy(frames: Tensor, codes: float, seed: int = 1) -> Tensor:
    noise = torch.randn(frames.shape, generator=torch.Generator().manual_seed(seed))
    return (frames + codes / 255 * noise).clamp(0, 1)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@settings(max_examples=25, deadline=None)
@given(dx=st.floats(-6, 6), dy=st.floats(-4, 4), codes=st.sampled_from([0.0, 4.0]))
def test_a_pan_is_found_to_a_fifth_of_a_pixel(dx: float, dy: float, codes: float) -> None:
    motion = motion_px(noisy(pan(dx, dy), codes))
    for k in range(5):
        known = torch.tensor([dx, dy]).view(2, 1, 1) * (k - 2)
        assert (inner(motion[k]) - known).norm(dim=0).median() < 0.2, k


def test_zoom_and_roll_are_found() -> None:
    scene = texture(HEIGHT, WIDTH)

    def place(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        x, y = x - WIDTH / 2, y - HEIGHT / 2
        turn, zoom = 0.03, 1.04
        cos, sin = zoom * math.cos(turn), zoom * math.sin(turn)
        return cos * x - sin * y + WIDTH / 2, sin * x + cos * y + HEIGHT / 2

    frames = torch.stack([scene, moved(scene, place), scene])  # the centre moves, so the others lie at place(x, y)
    y, x = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
    known = torch.stack(place(x, y)) - torch.stack([x, y])
    assert known.norm(dim=0).max() > 3
    assert (inner(motion_px(frames)[0]) - inner(known)).norm(dim=0).median() < 0.2


def test_an_object_moves_by_itself() -> None:
    frames = pan(1, 0)
    thing = texture(32, 48, seed=9)
    for k in range(5):
        frames[k, :, 30:62, 60 + 3 * (k - 2) : 108 + 3 * (k - 2)] = thing
    motion = motion_px(frames)[3]
    assert (motion[:, 40:52, 70:98] - torch.tensor([3.0, 0]).view(2, 1, 1)).norm(dim=0).median() < 0.4
    assert (motion[:, 8:20, 20:50] - torch.tensor([1.0, 0]).view(2, 1, 1)).norm(dim=0).median() < 0.2


def test_a_logo_and_bars_over_a_pan_stay() -> None:
    frames = pan(3, 0)
    frames[..., :16, :] = 0
    frames[..., 40:56, 20:60] = texture(16, 40, seed=4)
    motion = motion_px(frames)
    logo = (slice(None), slice(None), slice(46, 50), slice(28, 52))
    assert (motion[logo].abs() < 0.2).float().mean() > 0.95
    aligned = compensated(frames[None])[0]
    assert (aligned[logo] - frames[logo]).abs().mean() < 0.002
    assert aligned[..., :15, :].max() == 0
    assert (motion[3, :, 64:88, 90:140] - torch.tensor([3.0, 0]).view(2, 1, 1)).norm(dim=0).median() < 0.2


@pytest.mark.parametrize(("gain", "lift"), [(0.8, 0.0), (1.0, 0.08), (0.7, 0.1)])
def test_a_fade_is_no_motion(gain: float, lift: float) -> None:
    scene = texture(HEIGHT, WIDTH)
    frames = torch.stack([scene * gain + lift, scene, scene * gain + lift])
    assert inner(motion_px(frames)).norm(dim=1).median() < 0.1


def test_noise_is_averaged_where_the_camera_moves() -> None:
    clean = pan(1.3, 0.6)
    frames = noisy(clean, 10)
    aligned = compensated(frames[None])[0]
    shown = (frames[2], frames.mean(dim=0), aligned.mean(dim=0))
    one, as_is, ours = (inner(f - clean[2]).square().mean() for f in shown)
    assert ours < one / 3
    assert ours < as_is / 2


@pytest.mark.parametrize("frames", [torch.rand(3, 40, 50), torch.zeros(3, 40, 50), torch.full((3, 40, 50), 0.5)])
def test_equal_and_flat_frames_are_left_to_the_last_bit(frames: Tensor) -> None:
    window = frames.expand(5, -1, -1, -1).clone()
    assert not compensate_(window).any()
    assert torch.equal(window, frames.expand(5, -1, -1, -1))
    flat = torch.linspace(0, 1, 5).view(5, 1, 1, 1).expand(5, 3, 40, 50).clone()
    assert not motion_px(flat).any()


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (11, 40), (12, 12), (13, 37), (25, 24), (361, 641)])
def test_every_size(size: tuple[int, int]) -> None:
    window = torch.rand(3, 3, *size)
    centre = window[1].clone()
    motion = compensate_(window)
    assert torch.isfinite(motion).all()
    assert motion.shape[-2] * motion.shape[-1] <= 640 * 360
    assert torch.isfinite(window).all()
    assert torch.equal(window[1], centre)
    assert float(window.min()) >= 0
    assert float(window.max()) <= 1.000001


def test_large_frames_are_looked_at_small_and_moved_large() -> None:
    scene = texture(720, 1280)
    frames = torch.stack([moved(scene, lambda x, y, k=k: (x - 5 * k, y + 3 * k)) for k in (-1, 0, 1)])  # type: ignore[misc]
    motion = motion_px(frames)
    assert motion.shape == (3, 2, 360, 640)
    whole = full_size(motion, (720, 1280))
    assert (inner(whole[2]) - torch.tensor([5.0, -3]).view(2, 1, 1)).norm(dim=0).median() < 0.3
    before = inner(frames[2] - frames[1], 32).abs().mean()
    compensate_(frames)
    assert inner(frames[2] - frames[1], 32).abs().mean() < before / 8


def test_the_result_does_not_depend_on_threads(threads: None) -> None:
    results = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        results.append(compensated(noisy(pan(2.2, -1.1), 6)[None]))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_one_frame_alone_has_no_motion() -> None:
    assert not motion_px(torch.rand(1, 3, 40, 40)).any()


def test_what_can_not_be_brought_onto_the_centre_is_the_centre() -> None:
    frames = noisy(pan(1, 0), 3)
    for k, corner in enumerate(((4, 4), (60, 20), (30, 60), (10, 110), (64, 120))):
        patch = (slice(corner[0], corner[0] + 20), slice(corner[1], corner[1] + 20))
        frames[k, :, *patch] = torch.tensor([0.9, 0.2, 0.7]).view(3, 1, 1)
    aligned = compensated(frames[None])[0]
    usual = inner(aligned[1, :, 70:, :100] - frames[2, :, 70:, :100], 4).abs().mean()
    for k, corner in ((0, (4, 4)), (3, (10, 110))):
        there = (slice(None), slice(corner[0] + 2, corner[0] + 18), slice(corner[1] + 2, corner[1] + 18))
        assert (aligned[k][there] - frames[2][there]).abs().mean() < usual
    assert usual > 1 / 255  # the rest is still news of its own


def test_bands_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = noisy(pan(2.2, -1.1), 6)
    frames[1, :, 20:50, 30:90] = 0.9
    results = []
    for rows in (7, 1000):
        monkeypatch.setattr(arithmetic, "_BAND_ROWS", rows)
        results.append(compensated(frames[None]))
    assert torch.equal(*results)


@pytest.mark.parametrize("codes", [0.0, 4.0])
@pytest.mark.parametrize("size", [(96, 160), (20, 9), (700, 900)], ids=str)
def test_the_device_form_moves_frames_alike(size: tuple[int, int], codes: float) -> None:
    frames = F.interpolate(noisy(pan(2.5, -1.2), codes), size=size, mode="bilinear")
    frames[0] = frames[2]  # one that stands still, among others that move
    frames[4] = 1 - frames[4]  # one that shows something else
    here, there = frames.clone(), compensated_on_device(frames)
    compensate_(here)
    assert torch.equal(there[2], frames[2])
    assert torch.equal(there[0], frames[0])
    assert (here - frames).abs().max() > 0.1
    assert (there - here).abs().max() < 2e-4


def test_the_device_form_never_asks_the_device() -> None:
    frames = noisy(pan(2.5, -1.2), 4.0)
    with NoQuestions():
        compensated_on_device(frames)
    with pytest.raises(AssertionError, match="equal"), NoQuestions():
        compensate_(frames)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300), st.integers(0, 2**31), st.sampled_from([1e-30, 1.0, 1e30]))
def test_a_median_by_counting_is_the_median(count: int, seed: int, scale: float) -> None:
    values = torch.rand(3, count, generator=torch.Generator().manual_seed(seed)) * scale
    values[1] = values[1, 0]  # all alike
    values[2, ::2] = 0
    assert torch.equal(arithmetic._median_by_counting(values), values.median(dim=1).values)


def test_elimination_solves_what_lapack_does() -> None:
    torch.manual_seed(0)
    factors = torch.randn(4, 6, 9, dtype=torch.float64)
    systems, right = factors @ factors.mT, torch.randn(4, 6, 1, dtype=torch.float64)
    solved = arithmetic._solved_by_elimination(systems, right)
    assert (solved - torch.linalg.solve(systems, right)).abs().max() < 1e-9
