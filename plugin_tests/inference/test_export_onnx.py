"""ONNX Runtime reproduces the exported network."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from plugin_tests.inference.networks import BLOCKS, SMALL, lively
from plugin_tests.paths import SCRIPTS
from vsdslnet.network.config import DSLNetConfig

sys.path.insert(0, str(SCRIPTS))

export_onnx = pytest.importorskip("export_onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("config", [SMALL, BLOCKS], ids=["pixels", "blocks"])
@pytest.mark.parametrize(("height", "width"), [(48, 64), (33, 47)])
def test_onnx_runtime_reproduces_the_network(tmp_path: Path, height: int, width: int, config: DSLNetConfig) -> None:
    path = tmp_path / "small.onnx"
    network = lively(config)
    export_onnx.export(network, path, height=height, width=width)
    assert export_onnx.check(network, path, height=height, width=width) <= export_onnx.TOLERANCE


def test_the_export_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    network = lively()
    export_onnx.export(network, tmp_path / "small.onnx", height=32, width=32)
    assert "shrink" not in network.stfm.condition.__dict__
