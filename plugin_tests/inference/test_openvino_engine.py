"""The OpenVINO engine against the plain network."""

from __future__ import annotations

import threading

import pytest
import torch

from plugin_tests.inference.networks import lively, window
from vsdslnet.errors import EngineError
from vsdslnet.inference import openvino_engine
from vsdslnet.inference.openvino_engine import OpenVinoEngine

pytest.importorskip("openvino")

EXACT = 2.5e-5


@torch.inference_mode()
def plain(network: torch.nn.Module, frames: torch.Tensor) -> torch.Tensor:
    return network(frames[None])[0]


def test_equals_the_plain_network_at_any_size() -> None:
    network = lively()
    engine = OpenVinoEngine(network)
    for size in [(1, 1), (33, 47)]:
        frames = window(*size)
        assert (engine(frames) - plain(network, frames)).abs().max() <= EXACT


def test_bf16_stays_close_to_fp32() -> None:
    network, frames = lively(), window(33, 47)
    result = OpenVinoEngine(network, precision=torch.bfloat16)(frames)
    assert (result - plain(network, frames)).abs().mean() < 2e-3


def test_threads_at_once_get_what_one_gets() -> None:
    engine = OpenVinoEngine(lively())
    frames = [window(20, 30, seed=seed) for seed in range(3)]
    alone = [engine(each) for each in frames]
    together: dict[int, torch.Tensor] = {}
    threads = [threading.Thread(target=lambda i=i: together.__setitem__(i, engine(frames[i]))) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((together[i] - alone[i]).abs().max() <= 1e-6 for i in range(3))


def test_says_what_to_do_when_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_engine, "openvino_is_installed", lambda: False)
    with pytest.raises(EngineError, match="pip install openvino"):
        OpenVinoEngine(lively())
