"""Which precision a network runs in: what was asked for, or the fastest that is known to be good enough."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from vsdslnet.errors import BackendError

__all__ = ["JUDGED_KEYS", "automatic_precision", "bf16_is_native", "choose_precision", "processor_has_bf16"]

JUDGED_KEYS = {"bf16": "bf16_ok", "fp16": "fp16_ok"}
"""Metadata of a weights file that says "true" once these weights met the quality bound in that precision.

``scripts/benchmark.py --judge`` writes it: on real frames, against the plain fp32 network, a mean dE_ITP
of at most 0.1 and no channel further off than 4 codes of 10 bits.
"""

_BF16_FEATURES = ("amx_bf16", "avx512_bf16", "sve_bf16", "arm_bf16")
_MATRIX_UNITS = (7, 0)
"""CUDA's compute capability with products of fp16 in hardware; before, most cards have a 64th of the rate."""
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_precision(asked: str, device: torch.device, metadata: Mapping[str, str]) -> torch.dtype:
    """The dtype to compute in; ``metadata`` is the weights file's.

    "auto" is the first of these that has instructions of its own here and that the weights were judged good in: fp16
    and then bf16 on a CUDA device with matrix units (7.0, 8.0; equally fast, and fp16 is five times as near to fp32),
    bf16 on a processor (AVX512-BF16, AMX), fp32.
    BackendError if a CPU is asked for fp16, which it can only emulate.
    """
    if asked == "fp16" and device.type == "cpu":
        raise BackendError("precision='fp16' needs a CUDA device; on a CPU use 'bf16', 'fp32' or 'auto'")
    if asked != "auto":
        return _DTYPES[asked]
    return _DTYPES[_judged(device, metadata) or "fp32"]


def automatic_precision(device: torch.device, metadata: Mapping[str, str]) -> str:
    """What "auto" takes and why: "bf16 here: AMD EPYC (AVX512, avx512_bf16) has bf16, and ..."."""
    fast, chosen = _native(device), _judged(device, metadata)
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    if not fast:
        return f"fp32 here: {kind} has no bf16"
    if chosen:
        return f"{chosen} here: {kind} has {chosen}, and these weights were judged good in it"
    return f"fp32 here: {kind} has {' and '.join(fast)}, but these weights were not judged good in it"


def _native(device: torch.device) -> list[str]:
    """What is faster than fp32 here, best first."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= _MATRIX_UNITS:
        return ["fp16", "bf16"] if bf16_is_native(device) else ["fp16"]
    return ["bf16"] if bf16_is_native(device) else []


def _judged(device: torch.device, metadata: Mapping[str, str]) -> str | None:
    return next((each for each in _native(device) if _judged_good(each, metadata)), None)


def _judged_good(precision: str, metadata: Mapping[str, str]) -> bool:
    return metadata.get(JUDGED_KEYS[precision]) == "true"


def bf16_is_native(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32 here, not merely possible. ``ATEN_CPU_CAPABILITY`` is obeyed, as by PyTorch."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return bool(_cpu_bf16_features())


def processor_has_bf16() -> bool:
    """Whether this processor has bf16 at all: oneDNN's convolutions use it whatever ``ATEN_CPU_CAPABILITY`` says."""
    return any(_capabilities().get(name) for name in _BF16_FEATURES)


def _cpu_bf16_features() -> list[str]:
    """The bf16 instructions that PyTorch may use here, by the names that it gives them."""
    capabilities = _capabilities()
    held_back = () if torch.backends.cpu.get_cpu_capability() == "AVX512" else ("amx_bf16", "avx512_bf16")
    return [name for name in _BF16_FEATURES if capabilities.get(name) and name not in held_back]


def _capabilities() -> Mapping[str, object]:
    """What PyTorch says of this processor; old versions of it say no more than whether there is bf16."""
    known = getattr(torch.cpu, "get_capabilities", None)
    if known is not None:
        said: Mapping[str, object] = known()
        return said
    asked = {"avx512_bf16": "_is_avx512_bf16_supported", "amx_bf16": "_is_amx_tile_supported"}
    return {feature: getattr(torch.cpu, question, bool)() for feature, question in asked.items()}


def _processor() -> str:
    """Its name and kind: "AMD EPYC (AVX512, avx512_bf16)"."""
    name = _capabilities().get("cpu_name") or "this processor"
    return f"{name} ({', '.join([torch.backends.cpu.get_cpu_capability(), *_cpu_bf16_features()])})"
