"""Weights files: what is saved comes back; what is damaged or hostile is refused, fast, unexecuted."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from plugin_tests.reliability.figures import Options, broken
from plugin_tests.reliability.fuzz import weights_files as hostile
from plugin_tests.reliability.fuzz.weights_files import assemble, parts
from vsdslnet import weights
from vsdslnet.errors import WeightsError
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet

TINY = DSLNetConfig(radius=1, features=4, kernel=3, dynamic_kernel=3, condition_pixels=256)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = DSLNet(TINY)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    path = tmp_path_factory.mktemp("weights") / "good.safetensors"
    weights.save(network, path, notes={"training": "none: a test"})
    return path


def load(path: Path) -> DSLNet:
    return weights.load_network(weights.read(path))


def test_saved_network_comes_back_bit_for_bit(good: Path) -> None:
    file = weights.read(good)
    assert file.config == TINY
    assert file.metadata["training"] == "none: a test"
    network = weights.load_network(file)
    again = good.with_name("again.safetensors")
    assert weights.save(network, again).sha256 == file.sha256
    for name, tensor in load(again).state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name])
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_networks_with_norm_statistics_come_back(tmp_path: Path, norm: Any) -> None:
    config = DSLNetConfig(radius=0, features=4, kernel=3, condition_pixels=1024, norm=norm)
    network = DSLNet(config)
    network(torch.rand(2, 1, 3, 32, 32))  # moves BatchNorm's running statistics and its counter
    weights.save(network, tmp_path / "n.safetensors")
    for name, tensor in load(tmp_path / "n.safetensors").state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name
        assert tensor.dtype == network.state_dict()[name].dtype


def test_half_precision_files_load_as_fp32(tmp_path: Path) -> None:
    weights.save(DSLNet(TINY).bfloat16(), tmp_path / "h.safetensors")
    assert {t.dtype for t in load(tmp_path / "h.safetensors").state_dict().values()} == {torch.float32}


def test_saving_leaves_no_partial_file_and_replaces_the_old(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    first = weights.save(DSLNet(TINY), path)
    torch.manual_seed(99)
    second = weights.save(DSLNet(TINY), path)
    assert first.sha256 != second.sha256
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_shipped_model_is_found_verified_and_loads() -> None:
    assert "dslnet" in weights.available_models()
    file = weights.read(weights.find("dslnet"))
    assert weights.model_radius_frames("dslnet") == file.config.radius
    assert sum(p.numel() for p in weights.load_network(file).parameters()) == 933_411


@pytest.mark.parametrize(
    "model",
    [
        "nope",
        "",
        "../models/dslnet",
        "/etc/passwd",
        "x" * 5000,
        "a\0b",
        "\ud800",
        "~nobody_here/x.safetensors",
        "nope.safetensors",
        "x" * 5000 + ".safetensors",
        "a\0b.safetensors",
        ".safetensors",
    ],
    ids=lambda m: ascii(m)[:24],
)
def test_an_unknown_model_is_refused_by_name(model: str) -> None:
    with pytest.raises(WeightsError, match=r"^model="):
        weights.find(model)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_folder_or_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    folder, pipe = tmp_path / "d.safetensors", tmp_path / "p.safetensors"
    folder.mkdir()
    os.mkfifo(pipe)
    for path in (folder, pipe, tmp_path / "missing.safetensors"):
        with pytest.raises(WeightsError, match=path.name):
            weights.read(path)


def test_a_file_changed_after_it_was_verified_is_refused(tmp_path: Path, good: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(good.read_bytes())
    file = weights.read(path)
    header, body = parts(path)
    path.write_bytes(assemble(header, bytes(len(body))))
    with pytest.raises(WeightsError, match="changed"):
        weights.load_network(file)
    path.unlink()
    with pytest.raises(WeightsError, match="can't be read"):
        weights.load_network(file)


def test_a_rewritten_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    weights.save(DSLNet(TINY), path)
    weights.save(DSLNet(DSLNetConfig(radius=0, features=4, kernel=3, dynamic_kernel=3)), path)
    assert weights.read(path).config.radius == 0


def test_about_500_hostile_files_are_refused_fast_and_execute_nothing(tmp_path: Path) -> None:
    assert broken(hostile.measure(Options(folder=tmp_path))) == []


def test_a_flipped_header_byte_is_refused_or_changes_nothing(good: Path, tmp_path: Path) -> None:
    """Notes in the header are free text: a flip there may pass, but then the network is the same."""
    rng = random.Random(5)
    data, expected = good.read_bytes(), load(good).state_dict()
    start = len(data) - len(parts(good)[1])
    path = tmp_path / "flipped.safetensors"
    refused = 0
    for turn in range(150):
        at = rng.randrange(8, start)
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :])
        os.utime(path, ns=(turn * 10**9, turn * 10**9))
        try:
            network = load(path)
        except WeightsError:
            refused += 1
            continue
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor, expected[name])
    assert refused > 75
