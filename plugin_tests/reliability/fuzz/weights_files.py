"""Hostile weights files: damaged or forged, each refused at once, nothing of them executed."""

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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from plugin_tests.reliability.figures import Figure, Options, at_most, exactly, none_of
from vsdslnet import weights
from vsdslnet.errors import WeightsError
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet

__all__ = ["assemble", "hostile_files", "measure", "parts"]

_EXECUTION = {"pickle.find_class", "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn"}


def measure(options: Options) -> list[Figure]:
    """All files, whatever the options: they take seconds."""
    torch.manual_seed(0)
    network = DSLNet(DSLNetConfig(radius=1, features=4, kernel=3, dynamic_kernel=3, condition_pixels=256))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    good = options.folder / "good.safetensors"
    weights.save(network, good, notes={"training": "none: a test"})
    marker, path = options.folder / "executed", options.folder / "hostile.safetensors"
    failures: list[str] = []
    count, slowest = 0, 0.0
    with _watched() as executed:
        for what, data in hostile_files(good, marker):
            count += 1
            path.write_bytes(data)
            os.utime(path, ns=(count * 10**9, count * 10**9))  # no two files share a cache entry
            began = time.perf_counter()
            try:
                weights.load_network(weights.read(path))
                failures.append(f"accepted: {what}")
            except WeightsError as error:
                if "\n" in str(error) or path.name not in str(error):
                    failures.append(f"{what}: {error}")
            slowest = max(slowest, time.perf_counter() - began)
    if marker.exists():
        executed.append("the payload")
    return [
        none_of("hostile weights files are refused in one line that names the file", failures, count, "files"),
        at_most("the slowest refusal", slowest, 1, "s"),
        exactly("pieces of code executed from them", len(executed), 0),
    ]


_executed: list[str] | None = None


def _audit(event: str, _arguments: object) -> None:
    if _executed is not None and event in _EXECUTION:
        _executed.append(event)


@contextmanager
def _watched() -> Iterator[list[str]]:
    """What Python's audit hook sees of execution inside the block; hooks can't be taken off again."""
    global _executed
    sys.addaudithook(_audit)
    _executed = found = []
    try:
        yield found
    finally:
        _executed = None


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


class _Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def hostile_files(good: Path, marker: Path) -> Iterator[tuple[str, bytes]]:
    """At least 500 damaged or forged files by name; none holds a network of ours."""
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
    harmless.append(("gain_radius", 2))
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
