"""What a converter must do on synthetic pictures, without any reference (over time: ``temporal_checks``).

A ``Method`` turns an SDR window (2T+1, 3, H, W), R'G'B' 0..1, into PQ (3, H, W). Codes are 10-bit
limited-range PQ codes of luminance, as fractions.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.color.ictcp import delta_e_itp, nits_to_ictcp
from vsdslnet.color.measured import measured_pq
from vsdslnet.color.transfer import pq_to_nits
from vsdslnet.training.evaluation.metrics import luminance_codes
from vsdslnet.views.pixels import luminance_nits

__all__ = [
    "Method",
    "banding",
    "black",
    "colored_frames",
    "grey_ramp_flat",
    "grey_ramp_picture",
    "saturated_patches",
    "saturation_ramps",
    "still",
    "textured_scene",
    "white",
]

Method = Callable[[Tensor], Tensor]

_FLAT_PX = 32
_FALL_TOLERANCE_CODES = 0.05
_RAMP_SIZE = (48, 1024)
_PATCH_SIZE = (80, 96)
_HUES = {
    "red": (1, 0, 0),
    "yellow": (1, 1, 0),
    "green": (0, 1, 0),
    "cyan": (0, 1, 1),
    "blue": (0, 0, 1),
    "magenta": (1, 0, 1),
}


def still(frame: Tensor, radius_frames: int) -> Tensor:
    """A window in which nothing moves: SDR (3, H, W) -> (2T+1, 3, H, W)."""
    return frame.expand(2 * radius_frames + 1, *frame.shape)


def banding(codes: Tensor) -> dict[str, float]:
    """How a curve of codes over rising input behaves: (N,) -> falls, and the largest fall and rise.

    ``reversals`` counts steps that fall by more than 0.05 code.
    """
    steps = codes.double().diff()
    return {
        "reversals": float((steps < -_FALL_TOLERANCE_CODES).sum()),
        "largest_fall_codes": float((-steps).clamp(min=0).max()),
        "largest_rise_codes": float(steps.max()),
    }


def grey_ramp_flat(method: Method, radius_frames: int, *, levels: int) -> dict[str, float]:
    """:func:`banding` over flat grey frames of ``levels`` equidistant levels from black to white."""
    codes = [_flat_codes(method, radius_frames, level) for level in torch.linspace(0, 1, levels).tolist()]
    return banding(torch.tensor(codes))


def _flat_codes(method: Method, radius_frames: int, level: float) -> float:
    frame = torch.full((3, _FLAT_PX, _FLAT_PX), level)
    return float(luminance_codes(method(still(frame, radius_frames))).mean(dtype=torch.float64))


def grey_ramp_picture(method: Method, radius_frames: int, *, levels: int | None) -> dict[str, float]:
    """:func:`banding` along one picture of a ramp from black to white, quantised to ``levels`` or float.

    Read on the middle row. With 8-bit input the rises sit between columns; a fall is one anywhere.
    """
    height, width = _RAMP_SIZE
    ramp = torch.linspace(0, 1, width)
    if levels is not None:
        ramp = (ramp * (levels - 1)).round() / (levels - 1)
    out = method(still(ramp.expand(3, height, width), radius_frames))
    return banding(luminance_codes(out)[height // 2])


def black(method: Method, radius_frames: int) -> dict[str, float]:
    """Brightest luminance (cd/m²) of a black frame, and within black bars around a bright picture."""
    nothing = torch.zeros(3, 64, 96)
    barred = textured_scene((96, 160))
    barred[:, :16] = 0
    barred[:, -16:] = 0
    light = luminance_nits(method(still(barred, radius_frames)))
    bars = torch.cat([light[:16], light[-16:]])
    return {
        "black_nits": float(luminance_nits(method(still(nothing, radius_frames))).max()),
        "bars_max_nits": float(bars.max()),
        "bars_mean_nits": float(bars.mean()),
    }


def white(method: Method, radius_frames: int) -> dict[str, float]:
    """Luminance (cd/m²) of a flat white frame and its largest deviation from grey, channel to channel."""
    pq = method(still(torch.ones(3, 64, 96), radius_frames))
    nits = pq_to_nits(pq)
    return {
        "white_nits": float(luminance_nits(pq).mean()),
        "white_cast_nits": float((nits.amax(dim=-3) - nits.amin(dim=-3)).max()),
    }


def saturation_ramps(method: Method, radius_frames: int) -> dict[str, float]:
    """Ramps from grey to six pure hues: where does chroma fall although the SDR's rises?

    Worst over the hues: number of falls, largest fall of ICtCp chroma (in dE_ITP units), and the
    largest step between neighbours in dE_ITP, which is where a picture would band.
    """
    height, width = 24, 256
    share = torch.linspace(0, 1, width)
    worst = {"chroma_reversals": 0.0, "largest_chroma_fall_itp": 0.0, "largest_step_itp": 0.0}
    for hue in _HUES.values():
        pure = torch.tensor(hue, dtype=torch.float32)[:, None, None]
        frame = (0.7 * (1 - share + share * pure)).expand(3, height, width)
        ictcp = nits_to_ictcp(pq_to_nits(method(still(frame, radius_frames)).double()))[:, height // 2]
        itp = 720 * ictcp * torch.tensor([1, 0.5, 1], dtype=torch.float64)[:, None]
        chroma_steps = itp[1:].norm(dim=0).diff()
        found = {
            "chroma_reversals": float((chroma_steps < -0.1).sum()),
            "largest_chroma_fall_itp": float((-chroma_steps).clamp(min=0).max()),
            "largest_step_itp": float(itp.diff(dim=-1).norm(dim=0).max()),
        }
        worst = {name: max(value, found[name]) for name, value in worst.items()}
    return worst


def colored_frames(
    method: Method, radius_frames: int, formula: Callable[[Tensor], Tensor] = measured_pq
) -> dict[str, float]:
    """Frames that are all one pure hue, and a scene as through a gel of it: how far from the base under the network?

    Nothing in them says how their master looked, so what a method has learnt must not run wild. The largest change
    of a frame's mean luminance in stops, where the formula gives more than 1 cd/m², and mean dE_ITP of a frame.
    """
    scene = textured_scene((_FLAT_PX, 2 * _FLAT_PX))
    most = {"most_stops": 0.0, "most_de_itp": 0.0}
    for hue in _HUES.values():
        pure = torch.tensor(hue, dtype=torch.float32)[:, None, None]
        for level in (0.25, 0.5, 0.75, 1.0):
            for frame in (level * pure.expand_as(scene), level * pure * scene):
                window = still(frame, radius_frames)
                pq, expected = method(window), formula(window[radius_frames])
                nits, expected_nits = luminance_nits(pq).mean(), luminance_nits(expected).mean()
                if expected_nits > 1:
                    stops = float((nits.clamp(min=1e-4) / expected_nits).log2().abs())
                    most["most_stops"] = max(most["most_stops"], stops)
                distance = float(delta_e_itp(pq_to_nits(pq), pq_to_nits(expected)).mean())
                most["most_de_itp"] = max(most["most_de_itp"], distance)
    return most


def saturated_patches(method: Method, radius_frames: int) -> dict[str, float]:
    """Flat patches of six pure hues, at 0.9 of full signal, on black: rims and unevenness in 10-bit codes of PQ.

    ``rim_codes``: the outermost pixels' largest difference from the patch's middle, mean of a side, any channel;
    ``inside_codes``: the largest difference within a patch, six pixels and more from its edge.
    """
    height, width = _PATCH_SIZE
    most = {"rim_codes": 0.0, "inside_codes": 0.0}
    for hue in _HUES.values():
        frame = torch.zeros(3, 2 * height, 2 * width)
        top, left = height // 2, width // 2
        frame[:, top : top + height, left : left + width] = 0.05 + 0.85 * torch.tensor(hue)[:, None, None]
        patch = 1023 * method(still(frame, radius_frames))[:, top : top + height, left : left + width]
        middle = patch[:, height // 2 - 8 : height // 2 + 8, width // 2 - 8 : width // 2 + 8].mean(dim=(1, 2))
        sides = (patch[:, 0, 8:-8], patch[:, -1, 8:-8], patch[:, 8:-8, 0], patch[:, 8:-8, -1])
        rim = max(float((side.mean(dim=1) - middle).abs().max()) for side in sides)
        inner = patch[:, 6:-6, 6:-6].flatten(1)
        inside = float((inner.amax(dim=1) - inner.amin(dim=1)).max())
        most = {"rim_codes": max(most["rim_codes"], rim), "inside_codes": max(most["inside_codes"], inside)}
    return most


def textured_scene(size: tuple[int, int], *, seed: int = 11) -> Tensor:
    """A synthetic SDR picture (3, H, W): soft patches of colour, finer texture, from dark to bright."""
    generator = torch.Generator().manual_seed(seed)
    patches = torch.rand((1, 3, 4, 8), generator=generator)
    texture = torch.rand((1, 1, size[0] // 4, size[1] // 4), generator=generator) - 0.5
    scene = F.interpolate(patches, size=size, mode="bicubic") + 0.15 * F.interpolate(
        texture, size=size, mode="bilinear"
    )
    return (0.05 + 0.85 * scene[0]).clamp(0.02, 0.98)
