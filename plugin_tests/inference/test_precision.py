"""Precision "auto": fast where the processor can and these weights were judged good in it, else fp32."""

from __future__ import annotations

import pytest
import torch

from vsdslnet.errors import BackendError
from vsdslnet.inference import precision
from vsdslnet.inference.precision import automatic_precision, bf16_is_native, choose_precision

CPU = torch.device("cpu")


def test_unjudged_weights_run_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "bf16_is_native", lambda _: True)
    assert choose_precision("auto", CPU, {}) is torch.float32
    assert choose_precision("auto", CPU, {"bf16_ok": "false"}) is torch.float32


def test_judged_weights_run_in_bf16_where_it_is_native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "bf16_is_native", lambda _: True)
    assert choose_precision("auto", CPU, {"bf16_ok": "true"}) is torch.bfloat16
    monkeypatch.setattr(precision, "bf16_is_native", lambda _: False)
    assert choose_precision("auto", CPU, {"bf16_ok": "true"}) is torch.float32


def test_old_cuda_devices_get_fp16_once_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "bf16_is_native", lambda _: False)
    cuda = torch.device("cuda", 0)
    assert choose_precision("auto", cuda, {"fp16_ok": "true"}) is torch.float16
    assert choose_precision("auto", cuda, {"bf16_ok": "true"}) is torch.float32


def test_what_is_asked_for_is_done() -> None:
    assert choose_precision("bf16", CPU, {}) is torch.bfloat16
    assert choose_precision("fp32", CPU, {"bf16_ok": "true"}) is torch.float32


def test_fp16_on_a_cpu_is_refused_with_the_cure() -> None:
    with pytest.raises(BackendError, match="use 'bf16', 'fp32' or 'auto'"):
        choose_precision("fp16", CPU, {})


def test_the_reason_names_the_processor_and_the_judgement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "bf16_is_native", lambda _: True)
    assert "judged good" in automatic_precision(CPU, {"bf16_ok": "true"})
    assert "not judged good" in automatic_precision(CPU, {})
    monkeypatch.setattr(precision, "bf16_is_native", lambda _: False)
    assert torch.backends.cpu.get_cpu_capability() in automatic_precision(CPU, {"bf16_ok": "true"})


@pytest.mark.parametrize(
    ("capability", "feature", "native"),
    [
        ("AVX512", "avx512_bf16", True),
        ("AVX512", "amx_bf16", True),
        ("AVX512", "avx512_f", False),
        ("AVX2", "avx512_bf16", False),
        ("DEFAULT", "amx_bf16", False),
        ("DEFAULT", "arm_bf16", True),
        ("SVE256", "sve_bf16", True),
    ],
)
def test_instructions_count_only_where_pytorch_may_use_them(
    monkeypatch: pytest.MonkeyPatch, capability: str, feature: str, native: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {feature: True})
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert bf16_is_native(CPU) is native
