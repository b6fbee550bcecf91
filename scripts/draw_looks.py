"""Draw what each option of the look does to greys, into docs/looks.png, and print README's figures in nits.

    python scripts/draw_looks.py

Greys go through the curve that the networks correct, as if the network had nothing to add; the figure and the table
follow from the code alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from vsdslnet.color.ictcp import nits_to_ictcp  # noqa: E402
from vsdslnet.color.measured import measured_pq  # noqa: E402
from vsdslnet.color.transfer import pq_scalar, pq_to_nits  # noqa: E402
from vsdslnet.inference.look import apply_look  # noqa: E402
from vsdslnet.options import LookOptions  # noqa: E402

VERSIONS: dict[str, LookOptions] = {
    "defaults": LookOptions(),
    "white=100": LookOptions(white_nits=100),
    "peak=4000": LookOptions(peak_nits=4000),
    'look="film"': LookOptions(look="film"),
    'look="broadcast"': LookOptions(look="broadcast"),
    'look="youtube"': LookOptions(look="youtube"),
    "strength=0": LookOptions(strength=0),
    "saturation=1.2": LookOptions(saturation=1.2),
}
CODES = (16, 64, 128, 192, 235, 255)
"""SDR codes of 8 bits, full range, whose light README tells."""
TICKS_NITS = (0.1, 1, 10, 26, 62, 100, 203, 400, 1000, 4000)
SKIN = (210, 150, 120)
"""The colour whose chroma README tells, in SDR codes."""


def main() -> None:
    """Draw, and print the rows."""
    print("| option | " + " | ".join(f"code {code}" for code in CODES) + " | chroma |")
    print("|---" * (len(CODES) + 2) + "|")
    for name, look in VERSIONS.items():
        levels = grey_nits(torch.tensor(CODES) / 255, look)
        print(f"| {name} | " + " | ".join(f"{nits:.3g}" for nits in levels.tolist()) + f" | {chroma(look):.2f} |")
    draw(ROOT / "docs" / "looks.png")


def grey_nits(levels: torch.Tensor, look: LookOptions) -> torch.Tensor:
    """Light of SDR greys 0..1 with a look, in cd/m²."""
    sdr = levels.float().expand(3, 1, -1)
    return pq_to_nits(apply_look(measured_pq(sdr), sdr, look))[1, 0]


def chroma(look: LookOptions) -> float:
    """Chroma of a skin tone in ICtCp, as a multiple of what it has with the defaults."""
    sdr = torch.tensor(SKIN).view(3, 1, 1) / 255
    ours, usual = (
        float(nits_to_ictcp(pq_to_nits(apply_look(measured_pq(sdr), sdr, each)))[1:].norm())
        for each in (look, LookOptions())
    )
    return ours / usual


def draw(path: Path) -> None:
    """A curve a version, light on a PQ axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    levels = torch.linspace(0, 1, 511)
    for name, look in VERSIONS.items():
        if look.saturation != 1:
            continue  # greys have none
        signal = [pq_scalar(nits) for nits in grey_nits(levels, look).tolist()]
        axes.plot(255 * levels, signal, label=name, linewidth=2.4 if name == "defaults" else 1.3)
    axes.set_yticks([pq_scalar(nits) for nits in TICKS_NITS], [f"{nits:g}" for nits in TICKS_NITS])
    axes.set(xlim=(0, 255), ylim=(0, pq_scalar(5000)), xlabel="SDR code of a grey", ylabel="nits")
    axes.set_xticks(range(0, 256, 32))
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", fontsize=8)
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    main()
