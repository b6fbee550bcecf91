"""The fusion stage: flat fields pass, neighbours help against noise that was never seen, runs repeat themselves."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor

from plugin_tests.training.pools import write_pool
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.alignment import start_alignment
from vsdslnet.training.batches import draw_batch, with_noise
from vsdslnet.training.fusion import denoise, fusion_filter, train_fusion
from vsdslnet.training.loop import train
from vsdslnet.training.pool import Pool
from vsdslnet.training.train_config import FusionConfig, TrainConfig

CONFIG = TrainConfig(
    network=DSLNetConfig(features=32, kernel=9, dynamic_kernel=3),
    patch_px=48,
    batch=4,
    repeat_centre=0.0,
    precision="no",
    fusion=FusionConfig(steps=3, batch=4, noise_share=1.0, noise_code=(4, 8)),
)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    folder = write_pool(tmp_path_factory.mktemp("fusion") / "pool", windows=12)
    coarse = torch.from_numpy(np.random.default_rng(1).uniform(40, 210, (12, 3, 13, 22)).astype(np.float32))
    smooth = torch.nn.functional.interpolate(coarse, size=(96, 164), mode="bicubic").clamp(0, 255).permute(0, 2, 3, 1)
    np.save(folder / "sdr.npy", np.stack([smooth[:, :, k : k + 160].byte().numpy() for k in range(5)], axis=1))
    return Pool(folder)


def started(pool: Pool) -> DSLNet:
    torch.manual_seed(5)
    network = DSLNet(CONFIG.network)
    start_alignment(network, (draw_batch(pool, CONFIG, n, stream=1) for n in range(6)))
    return network


def noisy_pair(pool: Pool, step: int) -> tuple[Tensor, Tensor]:
    batch = draw_batch(pool, CONFIG, step, stream=9)
    windows = [with_noise(window, (6, 6), (k + 0.5) / 4) for k, window in enumerate(batch.window)]
    return torch.stack(windows), batch.window[:, 2]


def remaining(picture: Tensor, clean: Tensor) -> float:
    return float((picture - clean)[..., 8:-8, 8:-8].square().mean().sqrt())


def test_the_solved_filter_keeps_flat_fields_and_takes_noise_away_with_the_neighbours_help(pool: Pool) -> None:
    network = started(pool)
    pairs = []
    for n in range(8):
        batch = draw_batch(pool, CONFIG, n, stream=7)
        windows = [with_noise(window, (4, 8), (k + n / 8) / 4) for k, window in enumerate(batch.window)]
        pairs.append((torch.stack(windows), batch.window[:, 2], batch.flow))
    fusion = fusion_filter(network, pairs)
    colour = torch.tensor([0.2, 0.5, 0.9])
    assert torch.allclose(fusion @ colour.repeat_interleave(9).repeat(5), colour, atol=1e-5)
    noisy, clean = noisy_pair(pool, 0)
    with torch.no_grad():
        fused = denoise(network, fusion, noisy)[0]
        alone = denoise(network, fusion, noisy[:, 2:3].expand_as(noisy).contiguous())[0]
    assert remaining(fused, clean) < 0.9 * remaining(alone, clean)
    assert remaining(fused, clean) < 0.75 * remaining(noisy[:, 2], clean)


def test_the_stage_repeats_itself_to_the_bit(pool: Pool) -> None:
    networks, reports = [], []
    for _ in range(2):
        network, losses = started(pool), []
        train_fusion(network, pool, CONFIG, lambda step, terms, losses=losses: losses.append(terms["l1"]))  # type: ignore[misc]
        networks.append(network)
        reports.append(losses)
    assert reports[0] == reports[1]
    assert len(reports[0]) == 3
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_flat_pictures_come_out_of_the_deformable_convolution_as_before(pool: Pool) -> None:
    network = started(pool)
    flat = torch.tensor([0.1, 0.6, 0.3]).view(1, 1, 3, 1, 1).expand(1, 5, 3, 48, 48).flatten(1, 2).contiguous()
    inner = slice(16, -16)
    before = network.dmfa(flat)[..., inner, inner].detach()
    train_fusion(network, pool, CONFIG)
    after = network.dmfa(flat)[..., inner, inner].detach()
    assert torch.allclose(before, after, atol=2e-5)


def test_a_run_keeps_the_stage_beside_its_checkpoint(pool: Pool, tmp_path: Path) -> None:
    config = msgspec.structs.replace(CONFIG, steps=1, patch_px=16, fusion=FusionConfig(steps=1, batch=2))
    train(config, pool, tmp_path / "run")
    assert (tmp_path / "run" / "fusion.safetensors").is_file()
    assert (tmp_path / "run" / "fusion.jsonl").read_text().count("\n") == 1
