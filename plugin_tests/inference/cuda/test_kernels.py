"""Forms of layers against PyTorch's operators; Triton's on its interpreter, and compiled for a device elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from plugin_tests.command_line import run_python
from vsdslnet.inference.cuda import triton_kernels
from vsdslnet.inference.cuda.depthwise import BlockForm, TorchForm
from vsdslnet.network.blocks import DepthwiseConv

triton = pytest.importorskip("triton")


def test_kernels_do_on_the_interpreter_what_pytorch_does() -> None:
    # The interpreter is chosen as Triton is imported, so it has a process of its own.
    tests = Path(__file__).with_name("interpreted_kernels.py")
    done = run_python(tests, env=os.environ | {"TRITON_INTERPRET": "1"})
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


@pytest.mark.parametrize("kernel", [9, 17])
@torch.inference_mode()
def test_the_other_forms_are_the_convolution(kernel: int) -> None:
    torch.manual_seed(0)
    conv = DepthwiseConv(6, kernel)
    x = torch.rand(1, 6, 13, 22).sub(0.3).contiguous(memory_format=torch.channels_last)
    expected = conv(x.relu()).relu()
    weight, bias = conv.weight, conv.bias
    assert bias is not None
    for form in (TorchForm(weight, bias), TorchForm(weight, bias, torch.contiguous_format), BlockForm(weight, bias)):
        assert (form(x, relu_in=True, relu_out=True) - expected).abs().max() < 1e-5


POINTERS = {
    "planes_of_pixels": ["*fp16", "*fp16"],
    "depthwise": ["*fp16", "*fp16", "*fp32", "*fp16"],
    "pixels_of_planes": ["*fp16", "*fp16"],
    "deformable": ["*fp32", "*fp16", "*fp32", "*fp32", "*fp32"],
    "modulate": ["*fp16", "*fp32", "*fp32", "*fp32", "*fp16"],
    "finish": ["*fp16", "*fp16", "*fp16", "*fp16"],
    "luma": ["*fp32", "*fp32"],
    "mismatch": ["*fp32", "*fp32", "*fp32", "*fp32"],
    "count_digits": ["*fp32", "*i32"],
    "median_of_digits": ["*i32", "*fp32"],
    "normal_equations": ["*fp32", "*fp32", "*fp64"],
    "camera_step": ["*fp64", "*fp32", "*fp32"],
    "warped": ["*fp32", "*fp32", "*fp32"],
    "otherness": ["*fp32", "*fp32", "*fp32"],
    "averaged": ["*fp32", "*fp32"],
    "hold": ["*fp32", "*fp32", "*fp32", "*fp32"],
}
CONSTANTS: dict[str, dict[str, Any]] = {
    "planes_of_pixels": {"TOP": 8, "LEFT": 8, "RELU": True, "PIXELS": 64, "CHANNELS": 64},
    "depthwise": {"IN_ROWS": 20, "OUT_ROWS": 4, "GROUPS": 16, "TILES": 8, "RELU": True},
    "pixels_of_planes": {"PIXELS": 64, "CHANNELS": 64},
    "deformable": {"FRAMES": 5, "KERNEL": 3, "SCALE": 1, "VALUES": 32, "PIXELS": 64, "CHANNELS": 64},
    "modulate": {"LAYERS": 4, "PIXELS": 64, "CHANNELS": 64},
    "finish": {"ADD": True, "VALUES": 1024},
    "luma": {"WINDOW": 4, "PIXELS": 256},
    "mismatch": {"CAMERA": True, "PIXELS": 256},
    "count_digits": {"PLACE": 6, "VALUES": 256, "CHUNKS": 8},
    "median_of_digits": {},
    "normal_equations": {"TERMS": 3, "PIXELS": 64, "CHUNKS": 16},
    "camera_step": {"TERMS": 3},
    "warped": {"PIXELS": 256},
    "otherness": {"PIXELS": 256},
    "averaged": {"PIXELS": 256},
    "hold": {"PIXELS": 256},
}
FLOATS = {"most", "top", "left", "step_y", "step_x", "outlier", "least", "rounding", "ridge_share", "least_ridge"}
FLOATS |= {"most_px", "most_noise", "times", "slope", "of_red", "of_green", "of_blue"}


@pytest.mark.parametrize("name", POINTERS)
def test_compiles_for_hopper_without_spilling(name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = getattr(triton_kernels.load(), name, None) or getattr(triton_kernels.load_motion(), name)
    pointers, constants = POINTERS[name], CONSTANTS[name]
    signature, attributes = {}, {}
    for place, argument in enumerate(kernel.arg_names):
        if place < len(pointers):
            signature[argument] = pointers[place]
            attributes[place,] = [["tt.divisibility", 16]]
        elif argument in constants:
            signature[argument] = "constexpr"
        else:
            signature[argument] = "fp32" if argument in FLOATS else "i32"
    source = ASTSource(kernel, signature, {(kernel.arg_names.index(k),): v for k, v in constants.items()}, attributes)
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 4, "num_stages": 1})
    assert len(compiled.asm["cubin"]) > 1000
    products = sum(compiled.asm["ptx"].count(unit) for unit in ("wgmma.mma_async", "mma.sync"))
    assert (products > 0) == (name in ("depthwise", "deformable", "modulate"))
