"""Look files: what is read is what was written, and nothing else is read."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vsdslnet import weights
from vsdslnet.color.measured import measured_pq
from vsdslnet.color.transfer import nits_to_pq, pq_scalar, pq_to_nits
from vsdslnet.errors import WeightsError
from vsdslnet.inference.look import apply_look, regrade
from vsdslnet.looks import NODES, Look, check_look, find_look, read_look, save_look
from vsdslnet.options import LookOptions

GREYS = torch.linspace(0, 1, 257, dtype=torch.float32).expand(3, 1, -1)


def base_nodes() -> np.ndarray:
    return measured_pq(torch.linspace(0, 1, NODES, dtype=torch.float64).expand(3, 1, -1))[1, 0].numpy()


def darker(stops: float) -> Look:
    nodes = nits_to_pq(pq_to_nits(torch.from_numpy(base_nodes())) * 2**-stops).clamp(max=pq_scalar(1000))
    nodes[0] = 0
    return Look(tuple(float(node) for node in np.float32(nodes.numpy())), 1.0, "measured")


def test_a_look_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_look(darker(1), path, notes="of a test")
    read = read_look(str(path))
    assert read._replace(sha256="") == darker(1)
    assert find_look(str(path)) == path
    other = tmp_path / "other.safetensors"
    save_look(darker(1)._replace(saturation=1.1), other)
    assert read_look(str(other)).sha256 != read.sha256, "the whole of it is in the hash"


def test_the_base_s_own_look_changes_nothing_and_a_darker_one_darkens_by_its_stops() -> None:
    pq = measured_pq(GREYS)
    assert (regrade(pq, darker(0)) - pq).abs()[..., 16:].max() * 876 < 1.5
    light = pq_to_nits(regrade(pq, darker(1)))[1, 0, 24:]
    assert torch.allclose(light, pq_to_nits(pq)[1, 0, 24:] / 2, rtol=0.03)


@pytest.mark.parametrize("stops", [-0.5, 0.7, 2.0])
def test_greys_keep_their_order_and_black_stays_black(stops: float) -> None:
    out = regrade(measured_pq(GREYS), darker(stops))
    assert (out[0, 0, 1:] > out[0, 0, :-1]).sum() > 200
    assert out.diff(dim=-1).min() > -1e-6
    assert (out[..., 0] == 0).all()
    assert out.max() <= pq_scalar(1000) + 1e-6


def test_hue_stays() -> None:
    pq = nits_to_pq(torch.tensor([300.0, 100.0, 20.0]).view(3, 1, 1))
    light = pq_to_nits(regrade(pq, darker(1))).flatten()
    assert (light / light[0]).tolist() == pytest.approx([1, 1 / 3, 1 / 15], rel=1e-3)


def test_a_look_comes_before_white_and_peak(tmp_path: Path) -> None:
    path = tmp_path / "dark.safetensors"
    save_look(darker(1), path)
    pq = measured_pq(GREYS)
    both = apply_look(pq, GREYS, LookOptions(look=str(path), white_nits=100))
    apart = apply_look(apply_look(pq, GREYS, LookOptions(look=str(path))), GREYS, LookOptions(white_nits=100))
    assert torch.equal(both, apart)


def test_other_bases_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_look(darker(1), path)
    check_look(str(path), "measured")
    with pytest.raises(WeightsError, match="over the base measured, the model corrects bt2446a"):
        check_look(str(path), "bt2446a")


def forge(path: Path, nodes: np.ndarray, saturation: Any, form: str) -> None:
    """A file whose hash is right and whose contents need not be."""
    body = np.asarray(nodes, dtype="<f4").tobytes()
    header = {
        "__metadata__": {
            "format": form,
            "look": json.dumps({"saturation": saturation, "base": "measured"}, ensure_ascii=False),
            "sha256": hashlib.sha256(body).hexdigest(),
        },
        "nodes_pq": {"dtype": "F32", "shape": [len(body) // 4], "data_offsets": [0, len(body)]},
    }
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


@pytest.mark.parametrize(
    ("nodes", "saturation", "form", "words"),
    [
        (base_nodes()[::-1], 1.0, "vsdslnet-look", "light that falls"),
        (base_nodes() * np.nan, 1.0, "vsdslnet-look", "light that falls"),
        (base_nodes()[:5], 1.0, "vsdslnet-look", "does not hold 33 levels"),
        (base_nodes(), 40.0, "vsdslnet-look", "no saturation that can be"),
        (base_nodes(), 1.0, "vsdslnet", "is no look"),
        (base_nodes(), "\ud800", "vsdslnet-look", "can't read"),
    ],
)
def test_forged_files_are_refused_in_a_line(tmp_path: Path, nodes: Any, saturation: Any, form: str, words: str) -> None:
    path = tmp_path / "forged.safetensors"
    forge(path, nodes, saturation, form)
    with pytest.raises(WeightsError, match=words) as caught:
        read_look(str(path))
    assert "\n" not in str(caught.value)
    assert "forged.safetensors" in str(caught.value)


def test_damage_models_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_look(darker(1), path)
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="sha256"):
        read_look(str(path))
    with pytest.raises(WeightsError, match="more than any look"):
        read_look(str(weights.find("dslnet")))
    with pytest.raises(WeightsError, match="no such file"):
        read_look(str(tmp_path / "other.safetensors"))
    for name in ("no-such-look", "x" * 100_000, "../dslnet", "a\0b"):
        with pytest.raises(WeightsError, match="not known"):
            read_look(name)
