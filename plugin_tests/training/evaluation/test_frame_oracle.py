"""Bounds on blending frames: what is made of the others is found, what is not stays."""

from __future__ import annotations

import torch

from vsdslnet.training.evaluation.frame_oracle import BLOCK_PX, best_blend, best_blend_of_blocks


def window() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.25 + 0.5 * torch.rand((5, 3, 40, 56), generator=generator)


def test_a_mean_of_frames_is_found() -> None:
    frames = window()
    for made in (best_blend(frames, frames.mean(dim=0)), best_blend_of_blocks(frames, frames.mean(dim=0))):
        assert torch.allclose(made[:, :32, :48], frames.mean(dim=0)[:, :32, :48], atol=1e-4)


def test_every_block_has_weights_of_its_own() -> None:
    frames = window()
    clean = frames[2].clone()
    clean[:, :BLOCK_PX, :BLOCK_PX] = frames[0, :, :BLOCK_PX, :BLOCK_PX]
    clean[:, BLOCK_PX : 2 * BLOCK_PX, BLOCK_PX:] = frames[4, :, BLOCK_PX : 2 * BLOCK_PX, BLOCK_PX:]
    made = best_blend_of_blocks(frames, clean)
    assert torch.allclose(made[:, :32, :48], clean[:, :32, :48], atol=1e-4)
    assert float((best_blend(frames, clean) - clean).abs().mean()) > 0.01


def test_pixels_beyond_whole_blocks_and_frames_that_are_alike_stay() -> None:
    frames = window()
    made = best_blend_of_blocks(frames, frames.mean(dim=0))
    assert torch.equal(made[:, 32:], frames[2][:, 32:])
    same = frames[2:3].expand(5, -1, -1, -1)
    assert torch.equal(best_blend(same, frames[0]), frames[2])
