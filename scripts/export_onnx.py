"""Export DSLNet to ONNX, for ONNX Runtime, OpenVINO, TensorRT and the vs-mlrt filters built on them.

    python scripts/export_onnx.py dslnet dslnet_1080p.onnx --width 1920 --height 1080

The input ``frames`` is (1, 3 (2T+1), H, W), fp32: the planes of 2T+1 SDR RGB frames from the oldest on, 0..1,
the way vs-mlrt stacks RGBS clips (scripts/examples/vs-mlrt.vpy). Neighbours are wanted on the centre frame: motion
compensation (vsdslnet/network/motion/) is no part of the file, MVTools stands in for it there. The output
``pq`` is PQ BT.2020 (1, 3, H, W), fp32, not clamped. A file serves one frame size, whole: the network looks at
the whole frame first, so tiles made by the caller would show seams.
"""

from __future__ import annotations

import argparse
import copy
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsdslnet import weights
from vsdslnet.network.dslnet import DSLNet

OPSET = 18
TOLERANCE = 1e-4


class Stacked(nn.Module):
    """The network with its frames stacked along the channels, for one frame size."""

    def __init__(self, network: DSLNet, *, height: int, width: int) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        self.size = (height, width)
        # ConditionNet averages frames down to a size that a tracer can't follow, and ONNX has no such
        # operator; the same averages are two matrix products. The instance's own attribute wins.
        condition = self.network.stfm.condition
        frames = torch.empty(1, 1, 3, height, width)
        self.small = tuple(condition.shrink(frames).shape[-2:])
        self.register_buffer("down", averages(height, self.small[0]))
        self.register_buffer("across", averages(width, self.small[1]).t().contiguous())
        condition.__dict__["shrink"] = self.shrink

    def shrink(self, window: Tensor) -> Tensor:
        """ConditionNet.shrink for this frame size."""
        return self.down @ window @ self.across

    def forward(self, frames: Tensor) -> Tensor:
        """SDR R'G'B' (1, 3F, H, W) -> PQ (1, 3, H, W)."""
        pq: Tensor = self.network(frames.view(1, self.network.config.frames, 3, *self.size))
        return pq


def averages(inputs: int, outputs: int) -> Tensor:
    """The matrix (outputs, inputs) of ``interpolate(mode="area")`` along one side."""
    return F.adaptive_avg_pool1d(torch.eye(inputs)[None], outputs)[0].t().contiguous()


def two_to_the(g: Any, x: Any) -> Any:
    """``torch.exp2``, of which the exporter does not know that ONNX has it as a power of two."""
    return g.op("Pow", g.op("Constant", value_t=torch.tensor(2.0)), x)


def export(network: DSLNet, path: Path, *, height: int, width: int) -> None:
    """Write ``network`` to ``path`` for frames of this size."""
    module = Stacked(network, height=height, width=width).eval()
    example = torch.rand(1, 3 * network.config.frames, height, width)
    with torch.no_grad(), warnings.catch_warnings():
        # The tracer warns of every size it writes down as a constant: that is what is wanted here.
        warnings.simplefilter("ignore")
        torch.onnx.register_custom_op_symbolic("aten::exp2", two_to_the, OPSET)
        torch.onnx.export(
            module,
            (example,),
            str(path),
            input_names=["frames"],
            output_names=["pq"],
            opset_version=OPSET,
            dynamo=False,
        )


def check(network: DSLNet, path: Path, *, height: int, width: int) -> float:
    """The largest difference between ONNX Runtime and PyTorch on a random window, in PQ."""
    import onnxruntime

    torch.manual_seed(0)
    window = torch.rand(1, network.config.frames, 3, height, width)
    with torch.inference_mode():
        expected = network(window)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (pq,) = session.run(None, {"frames": window.flatten(1, 2).numpy()})
    return float((torch.from_numpy(pq) - expected).abs().max())


def main() -> None:
    """Export and check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", help="a model's name or a .safetensors file")
    parser.add_argument("path", type=Path, help="the .onnx file to write")
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--height", type=int, required=True)
    arguments = parser.parse_args()
    network = weights.load_network(weights.read(weights.find(arguments.model)))
    size = {"height": arguments.height, "width": arguments.width}
    export(network, arguments.path, **size)
    error = check(network, arguments.path, **size)
    print(f"{arguments.path}: largest difference to PyTorch in ONNX Runtime {error:.1e} of PQ")
    if error > TOLERANCE:
        raise SystemExit(f"that is more than {TOLERANCE}; do not use this file")


if __name__ == "__main__":
    main()
