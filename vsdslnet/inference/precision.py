"""Which precision a network runs in: what was asked for, or the fastest that is known to be good enough."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from vsdslnet.errors import BackendError

__all__ = ["JUDGED_KEYS", "automatic_precision", "bf16_is_native", "choose_precision"]

JUDGED_KEYS = {"bf16": "bf16_ok", "fp16": "fp16_ok"}
"""Metadata of a weights file that says "true" once these weights met the quality bound in that precision.

``scripts/benchmark.py --judge`` writes it: on real frames, against the plain fp32 network, a mean dE_ITP
of at most 0.1 and no channel further off than 4 codes of 10 bits.
"""

_BF16_FEATURES = ("amx_bf16", "avx512_bf16", "sve_bf16", "arm_bf16")
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_precision(asked: str, device: torch.device, metadata: Mapping[str, str]) -> torch.dtype:
    """The dtype to compute in; ``metadata`` is the weights file's.

    "auto" is bf16 where the processor has instructions for it (AVX512-BF16, AMX; CUDA from 8.0), on older
    CUDA devices fp16, and fp32 everywhere else and whenever the weights have not been judged good in it.
    BackendError if a CPU is asked for fp16, which it can only emulate.
    """
    if asked == "fp16" and device.type == "cpu":
        raise BackendError("precision='fp16' needs a CUDA device; on a CPU use 'bf16', 'fp32' or 'auto'")
    if asked != "auto":
        return _DTYPES[asked]
    fast = _fastest(device)
    return _DTYPES[fast] if fast == "fp32" or _judged_good(fast, metadata) else torch.float32


def automatic_precision(device: torch.device, metadata: Mapping[str, str]) -> str:
    """What "auto" takes and why: "bf16 here: AMD EPYC (AVX512, avx512_bf16) has bf16, and ..."."""
    fast = _fastest(device)
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    if fast == "fp32":
        return f"fp32 here: {kind} has no bf16"
    if _judged_good(fast, metadata):
        return f"{fast} here: {kind} has {fast}, and these weights were judged good in it"
    return f"fp32 here: {kind} has {fast}, but these weights were not judged good in it"


def _fastest(device: torch.device) -> str:
    if bf16_is_native(device):
        return "bf16"
    return "fp16" if device.type == "cuda" else "fp32"


def _judged_good(precision: str, metadata: Mapping[str, str]) -> bool:
    return metadata.get(JUDGED_KEYS[precision]) == "true"


def bf16_is_native(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32 here, not merely possible. ``ATEN_CPU_CAPABILITY`` is obeyed, as by PyTorch."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return bool(_cpu_bf16_features())


def _cpu_bf16_features() -> list[str]:
    """The bf16 instructions that PyTorch may use here, by the names that it gives them."""
    capabilities = torch.cpu.get_capabilities()
    held_back = () if torch.backends.cpu.get_cpu_capability() == "AVX512" else ("amx_bf16", "avx512_bf16")
    return [name for name in _BF16_FEATURES if capabilities.get(name) and name not in held_back]


def _processor() -> str:
    """Its name and kind: "AMD EPYC (AVX512, avx512_bf16)"."""
    name = torch.cpu.get_capabilities().get("cpu_name") or "this processor"
    return f"{name} ({', '.join([torch.backends.cpu.get_cpu_capability(), *_cpu_bf16_features()])})"
