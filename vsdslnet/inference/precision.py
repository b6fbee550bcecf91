"""Which precision a network runs in: what was asked for, or the fastest that is known to be good enough."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from vsdslnet.errors import EngineError

__all__ = ["JUDGED_KEYS", "bf16_is_native", "choose_precision"]

JUDGED_KEYS = {"bf16": "bf16_ok", "fp16": "fp16_ok"}
"""Metadata of a weights file that says "true" once these weights met the quality bound in that precision.

``scripts/benchmark.py --judge`` writes it: on real frames, against the plain fp32 network, a mean dE_ITP
of at most 0.1 and no channel further off than 4 codes of 10 bits.
"""

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_precision(asked: str, device: torch.device, metadata: Mapping[str, str]) -> torch.dtype:
    """The dtype to compute in; ``metadata`` is the weights file's.

    "auto" is bf16 where the processor has instructions for it (AVX512-BF16, AMX; CUDA from 8.0), on older
    CUDA devices fp16, and fp32 everywhere else and whenever the weights have not been judged good in it.
    EngineError if a CPU is asked for fp16, which it can only emulate.
    """
    if asked == "fp16" and device.type == "cpu":
        raise EngineError("precision='fp16' needs a CUDA device; on a CPU use 'bf16', 'fp32' or 'auto'")
    if asked != "auto":
        return _DTYPES[asked]
    fast = "bf16" if bf16_is_native(device) else "fp16" if device.type == "cuda" else "fp32"
    judged = JUDGED_KEYS.get(fast)
    return _DTYPES[fast] if judged and metadata.get(judged) == "true" else torch.float32


def bf16_is_native(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32 here, not merely possible."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16", "sve_bf16", "arm_bf16"))
