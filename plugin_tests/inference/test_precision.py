"""Precision "auto": fast where the processor can and these weights were judged good in it, else fp32."""

from __future__ import annotations

import pytest
import torch

from vsdslnet.errors import BackendError
from vsdslnet.inference import precision
from vsdslnet.inference.cpu.strip_layers import Target
from vsdslnet.inference.precision import automatic_precision, bf16_is_native, choose_precision, processor_has_bf16

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


@pytest.mark.parametrize(
    ("capability", "judged", "taken"),
    [
        ((9, 0), {"fp16_ok": "true", "bf16_ok": "true"}, torch.float16),
        ((8, 0), {"fp16_ok": "false", "bf16_ok": "true"}, torch.bfloat16),
        ((7, 5), {"fp16_ok": "true", "bf16_ok": "true"}, torch.float16),
        ((7, 5), {"bf16_ok": "true"}, torch.float32),
        ((6, 1), {"fp16_ok": "true", "bf16_ok": "true"}, torch.float32),
        ((9, 0), {}, torch.float32),
    ],
)
def test_cuda_devices_take_fp16_before_bf16_once_judged(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], judged: dict[str, str], taken: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a card")
    device = torch.device("cuda", 0)
    assert choose_precision("auto", device, judged) is taken
    assert automatic_precision(device, judged).startswith(
        {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32"}[taken]
    )


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
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {feature: True}, raising=False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert bf16_is_native(CPU) is native
    # oneDNN is not held back with PyTorch, and has kernels for bf16 that a network must not be given to.
    assert processor_has_bf16() is feature.endswith("bf16")
    assert Target(CPU, torch.bfloat16).blocks_pay is feature.endswith("bf16")


@pytest.mark.parametrize(("there", "native"), [(True, True), (False, False), (None, False)])
def test_old_versions_of_pytorch_are_asked_for_bf16_alone(
    monkeypatch: pytest.MonkeyPatch, there: bool | None, native: bool
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    if there is None:
        monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    else:
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: there)
    assert bf16_is_native(CPU) is native
    assert ("avx512_bf16" in automatic_precision(CPU, {})) is native
