""".cube files (Adobe Cube LUT 1.0): what grading software reads, and ``core.timecube``."""

from __future__ import annotations

from torch import Tensor

__all__ = ["cube_text"]


def cube_text(lattice: Tensor, *, title: str) -> str:
    """A lattice (3, S, S, S), red along the last axis, as the text of a .cube file, red fastest as it wants."""
    title = " ".join(title.replace('"', "'").split())
    rows = lattice.reshape(3, -1).t().tolist()
    header = [
        f'TITLE "{title}"',
        "# In: SDR R'G'B', BT.709 primaries, BT.1886, full range. Out: R'G'B', BT.2020 primaries, PQ, full range.",
        f"LUT_3D_SIZE {lattice.shape[-1]}",
        "DOMAIN_MIN 0 0 0",
        "DOMAIN_MAX 1 1 1",
    ]
    return "\n".join([*header, *(f"{red:.8f} {green:.8f} {blue:.8f}" for red, green, blue in rows), ""])
