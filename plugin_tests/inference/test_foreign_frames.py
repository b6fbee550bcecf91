"""Flashes and unmarked cuts stay out of a window; everything else stays in."""

from __future__ import annotations

import pytest
import torch

from vsdslnet.inference.foreign_frames import without_foreign_frames


def _scene(seed: int, level: float) -> torch.Tensor:
    picture = torch.rand((1, 3, 6, 8), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(picture, size=(54, 96), mode="bicubic")[0].clamp(0, 1) * level


def _still(scene: torch.Tensor) -> torch.Tensor:
    return scene.repeat(5, 1, 1, 1)


@pytest.mark.parametrize("at", [0, 1, 3, 4])
def test_a_flash_gives_way_to_its_neighbour(at: int) -> None:
    window = _still(_scene(1, 0.6))
    flashed = window.clone()
    flashed[at] = 0.2 * flashed[at] + 0.8
    assert torch.equal(without_foreign_frames(flashed), window)


def test_a_flash_stands_alone() -> None:
    window = _still(_scene(1, 0.5))
    window[2] = 0.2 * window[2] + 0.8
    assert torch.equal(without_foreign_frames(window), _still(window[2]))


def test_beyond_an_unmarked_cut_the_last_frame_of_the_scene_stands_in() -> None:
    window = torch.stack([_scene(1, 0.3)] * 2 + [_scene(2, 1.0), 0.98 * _scene(2, 1.0), 0.97 * _scene(2, 1.0)])
    kept = without_foreign_frames(window)
    assert torch.equal(kept[:2], window[[2, 2]])
    assert torch.equal(kept[2:], window[2:])


def test_what_enters_moves_or_fades_stays() -> None:
    entering = _still(_scene(3, 0.4))
    entering[3:, :, :, 60:] = 1.0
    moving = torch.stack([_scene(4, 0.9).roll(3 * n, dims=-1) for n in range(5)])
    fading = torch.stack([_scene(5, 0.8) * (1 - 0.06 * n) for n in range(5)])
    noisy = (_still(_scene(6, 0.8)) + 0.1 * torch.randn(5, 3, 54, 96)).clamp(0, 1)
    for window in (entering, moving, fading, noisy):
        assert without_foreign_frames(window) is window


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (5, 7)])
def test_tiny_frames_go_through(size: tuple[int, int]) -> None:
    window = torch.zeros(5, 3, *size)
    window[4] = 1
    assert torch.equal(without_foreign_frames(window), torch.zeros(5, 3, *size))


def test_a_single_frame_has_no_neighbours() -> None:
    window = torch.rand(1, 3, 8, 8)
    assert torch.equal(without_foreign_frames(window), window)
