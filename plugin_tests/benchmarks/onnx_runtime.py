"""Export the network to ONNX and run it in ONNX Runtime: on a CUDA device where its build can, else on the processor.

python -m plugin_tests.benchmarks.onnx_runtime --device cuda --size 480x270
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime

EXPORT = Path(__file__).resolve().parents[2] / "scripts" / "export_onnx.py"


def main() -> None:
    """Export, run, compare the two providers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--model", default="dslnet")
    parser.add_argument("--size", default="480x270")
    arguments = parser.parse_args()
    width, height = arguments.size.split("x")
    available = onnxruntime.get_available_providers()
    print(f"onnxruntime {onnxruntime.__version__}: {', '.join(available)}")
    providers = ["CPUExecutionProvider"]
    if arguments.device == "cuda" and "CUDAExecutionProvider" in available:
        providers.insert(0, "CUDAExecutionProvider")
    pictures = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "network.onnx")
        export = [sys.executable, str(EXPORT), arguments.model, str(file)]
        subprocess.run([*export, "--width", width, "--height", height], check=True)
        for provider in providers:
            session = onnxruntime.InferenceSession(str(file), providers=[provider])
            shape = session.get_inputs()[0].shape
            frames = np.random.default_rng(0).random(shape, dtype=np.float32)
            (pictures[provider],) = session.run(None, {"frames": frames})
            started = time.perf_counter()
            session.run(None, {"frames": frames})
            milliseconds = 1000 * (time.perf_counter() - started)
            print(f"{session.get_providers()[0]}, {arguments.size}: {milliseconds:.1f} ms a frame")
    if len(pictures) == 2:
        one, other = pictures.values()
        print(f"largest difference: {876 * abs(one - other).max():.3f} codes of 10 bits")


if __name__ == "__main__":
    main()
