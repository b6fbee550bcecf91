"""Weights files: what is saved comes back; what is damaged or hostile is refused, fast, unexecuted."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from vsdslnet import weights
from vsdslnet.errors import WeightsError
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet

TINY = DSLNetConfig(radius=1, features=4, kernel=3, dynamic_kernel=3, condition_pixels=256)
_EXECUTION = {"pickle.find_class", "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn"}
_executed: list[str] = []
_watching = False


def _audit(event: str, _arguments: object) -> None:
    if _watching and event in _EXECUTION:
        _executed.append(event)


sys.addaudithook(_audit)


@pytest.fixture
def nothing_executed() -> Iterator[None]:
    global _watching
    _executed.clear()
    _watching = True
    yield
    _watching = False
    assert _executed == []


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = DSLNet(TINY)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    path = tmp_path_factory.mktemp("weights") / "good.safetensors"
    weights.save(network, path, notes={"training": "none: a test"})
    return path


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def assemble(header: Any, body: bytes, *, sign: bool = True) -> bytes:
    """A file of this header and body; ``sign`` makes its hash right, as an attacker would."""
    if sign:
        header["__metadata__"]["sha256"] = hashlib.sha256(body).hexdigest()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


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
    assert sum(p.numel() for p in weights.load_network(file).parameters()) == 929_949


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


class _Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def hostile_files(good: Path, marker: Path) -> Iterator[tuple[str, bytes]]:
    """About 500 damaged or forged files by name; none holds a network of ours."""
    rng = random.Random(20_230_207)
    data = good.read_bytes()
    header, body = parts(good)
    start = len(data) - len(body)
    for size in [
        0,
        1,
        7,
        8,
        9,
        start - 1,
        start,
        start + 1,
        len(data) - 1,
        *rng.sample(range(len(data)), 90),
    ]:
        yield f"truncated to {size}", data[:size]
    for length in [0, 1, 7, start, len(data), 1 << 20, 1 << 32, 1 << 63, (1 << 64) - 1]:
        yield f"header of {length}", struct.pack("<Q", length) + data[8:]
    for _ in range(30):
        yield "header length", struct.pack("<Q", rng.getrandbits(rng.choice([16, 24, 40, 64]))) + data[8:]
    for _ in range(150):
        at = rng.randrange(start, len(data))
        yield f"body byte {at}", data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    for size in (1, 4, 100, 70_000):
        yield f"{size} bytes appended", data + rng.randbytes(size)
    yield "long header", struct.pack("<Q", 1 << 21) + b" " * (1 << 21) + body
    yield "deep header", struct.pack("<Q", 500_000) + b"[" * 500_000
    yield "number bomb", struct.pack("<Q", 500_002) + b"[" + b"9" * 500_000 + b"]"
    for junk in (b"null", b"[]", b"1", b'"x"', b"{}", b'{"__metadata__":[]}', b"\xff" * 40, b"NaN"):
        yield f"header {junk[:12]!r}", struct.pack("<Q", len(junk)) + junk + body
    for meta in ({}, {"format": "pt"}, {"format": "vsdslnet"}, {"format": "vsdslnet", "config": "{}"}):
        yield f"metadata {meta}", assemble({**header, "__metadata__": meta}, body, sign="config" in meta)
    for key in ("config", "sha256", "format"):
        for value in (None, 1, [], {"a": 1}, "", "x" * 100_000):
            changed = {**header, "__metadata__": {**header["__metadata__"], key: value}}
            yield f"{key} {value!r:.9}", assemble(changed, body, sign=False)
    config = json.loads(header["__metadata__"]["config"])
    # Other values of these describe a network with the same tensors.
    harmless = [("condition_pixels", v) for v in (0, 10**6)] + [("black_anchor", v) for v in (0, 0.5, True)]
    for key in config:
        for value in (-1, 0.5, 10**6, 10**30, None, "x", [], True, 2, -0.0):
            if value == config[key] or (key, value) in harmless:
                continue
            text = json.dumps({**config, key: value})
            changed = {**header, "__metadata__": {**header["__metadata__"], "config": text}}
            yield f"config {key}={value!r:.9}", assemble(changed, body)
    yield (
        "unknown config field",
        assemble(
            {
                **header,
                "__metadata__": {**header["__metadata__"], "config": json.dumps({**config, "run": "id"})},
            },
            body,
        ),
    )
    names = [name for name in header if name != "__metadata__"]
    for name in rng.sample(names, 20):
        entry = header[name]
        shape, (first, last) = entry["shape"], entry["data_offsets"]
        without = {k: v for k, v in header.items() if k != name}
        yield f"without {name}", assemble(without, body)
        yield f"renamed {name}", assemble({**without, name + ".x": entry}, body)
        yield f"reshaped {name}", assemble({**header, name: {**entry, "shape": [1, *shape]}}, body)
        yield f"huge {name}", assemble({**header, name: {**entry, "shape": [1 << 40, *shape]}}, body)
        yield f"integers {name}", assemble({**header, name: {**entry, "dtype": "I32"}}, body)
        yield (
            f"offsets {name}",
            assemble({**header, name: {**entry, "data_offsets": [first, last + 4]}}, body),
        )
        nan = body[:first] + struct.pack("<f", float("nan")) + body[first + 4 :]
        yield f"NaN in {name}", assemble({**header}, nan)
    yield "pickle", pickle.dumps(_Payload(marker))
    yield "pickle behind a header", struct.pack("<Q", 2) + b"{}" + pickle.dumps(_Payload(marker))
    yield "pickled body", assemble({**header}, pickle.dumps(_Payload(marker)))
    archive = good.with_name("archive.pt")
    torch.save({"state": _Payload(marker)}, archive)
    yield "torch archive", archive.read_bytes()
    for start_bytes in (
        b"PK\x03\x04",
        b"\x7fELF",
        b"#!/bin/sh\ntouch x\n",
        b"\x80\x04",
        b"GIF89a",
        b"\x93NUMPY",
    ):
        for size in (10, 1000):
            yield f"{start_bytes[:6]!r} {size}", start_bytes + rng.randbytes(size)


def test_about_500_hostile_files_are_refused_fast_and_execute_nothing(
    good: Path, tmp_path: Path, nothing_executed: None
) -> None:
    marker, path = tmp_path / "executed", tmp_path / "hostile.safetensors"
    count = 0
    for what, data in hostile_files(good, marker):
        count += 1
        path.write_bytes(data)
        os.utime(path, ns=(count * 10**9, count * 10**9))  # no two files share a cache entry
        begin = time.perf_counter()
        try:
            load(path)
        except WeightsError as error:
            assert "\n" not in str(error), what
            assert path.name in str(error), what
        else:
            pytest.fail(f"accepted: {what}")
        assert time.perf_counter() - begin < 1, what
    assert not marker.exists()
    assert count >= 500


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
