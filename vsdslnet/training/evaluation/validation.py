"""What a run looks at while it trains: each group's figures, ramps, black, and the gain of many frames."""

from __future__ import annotations

import torch
from torch import Tensor

from vsdslnet.color.transfer import pq_to_nits
from vsdslnet.network.motion.compensation import compensated
from vsdslnet.network.window import WindowNetwork
from vsdslnet.training.dataset.store import WindowDataset, planes
from vsdslnet.training.evaluation.metrics import clip_pq, delta_e_mean, exposure_shift_stops, mean_by_name, psnr_db

__all__ = ["Figures", "grey_ramp_codes", "render_window", "validate"]

Figures = dict[str, dict[str, float]]


@torch.no_grad()
def validate(network: WindowNetwork, dataset: WindowDataset, windows: int) -> Figures:
    """Figures over ``windows`` windows of every group of a dataset, and of the self-checks under "checks"."""
    figures: Figures = {}
    for group, members in dataset.groups.items():
        stride = max(1, len(members) // windows)
        figures[group] = _group(network, [dataset[index] for index in members[::stride][:windows]])
    figures["checks"] = _checks(network)
    return figures


def render_window(
    network: WindowNetwork, item: dict[str, Tensor], *, repeat_centre: bool = False
) -> tuple[Tensor, Tensor]:
    """A dataset's window through the network: output and target PQ, both (3, H, W) within 0..PQ(1000), on the CPU."""
    device = next(network.parameters()).device
    radius, middle = network.config.radius, len(item["sdr"]) // 2
    frames = [middle] * (2 * radius + 1) if repeat_centre else range(middle - radius, middle + radius + 1)
    window, whole = (planes(item[key][list(frames)].to(device))[None] for key in ("sdr", "cond"))
    if network.config.motion_compensated and not repeat_centre:
        window = compensated(window)
    conditions = network.shared_conditions(whole)
    x0, y0, x1, y1 = item["crop"].tolist()
    output = network.render(window, conditions, [(x0, y0, x1, y1)])[0].cpu()
    target = planes(item["hdr"])
    return clip_pq(output), clip_pq(target)


def _group(network: WindowNetwork, items: list[dict[str, Tensor]]) -> dict[str, float]:
    rows = []
    for item in items:
        output, target = render_window(network, item)
        single, _ = render_window(network, item, repeat_centre=True)
        psnr = psnr_db(output, target)
        rows.append(
            {
                "psnr_db": psnr,
                "de_itp": delta_e_mean(output, target),
                "exposure_stops": exposure_shift_stops(output, target),
                "frames_gain_db": psnr - psnr_db(single, target),
            }
        )
    return mean_by_name(rows)


@torch.no_grad()
def grey_ramp_codes(network: WindowNetwork, levels: int = 256, size: int = 24) -> Tensor:
    """10-bit PQ codes of flat grey fields, black to white, read in the middle: (levels, 3)."""
    out = []
    device = next(network.parameters()).device
    for chunk in torch.split(torch.linspace(0, 1, levels, device=device), 32):
        fields = chunk.view(-1, 1, 1, 1, 1).expand(-1, network.config.frames, 3, size, size)
        out.append(network(fields)[..., size // 2, size // 2].cpu() * 1023)
    return torch.cat(out)


def _checks(network: WindowNetwork) -> dict[str, float]:
    codes = grey_ramp_codes(network)
    rise = codes[1:] - codes[:-1]
    return {
        "ramp_smallest_rise_code": float(rise.min()),
        "ramp_largest_rise_code": float(rise.max()),
        "ramp_cast_code": float((codes.amax(dim=1) - codes.amin(dim=1)).max()),
        "white_nits": float(pq_to_nits(codes[-1].clamp(max=1023) / 1023).max()),
        "grey_118_nits": float(pq_to_nits(codes[118] / 1023).mean()),
    }
