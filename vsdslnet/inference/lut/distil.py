"""DSLNet as a 3D LUT: the network sees a small version of a window, a lattice learns its colours."""

from __future__ import annotations

import torch
from torch import Tensor

from vsdslnet.color.sdr_to_hdr import BASE_PEAK_NITS
from vsdslnet.color.transfer import pq_scalar
from vsdslnet.inference.converter import get_backend, network_picture, sanitised
from vsdslnet.inference.cpu.lanes import on_backend_thread
from vsdslnet.inference.lut.lattice import fit_lattice
from vsdslnet.options import BackendOptions

__all__ = ["distil"]

_FITTED_PIXELS = 320 * 180
"""About so many pixels a lattice is fitted to: more of them took longer and said hardly more."""


def distil(window: Tensor, options: BackendOptions) -> Tensor:
    """A small SDR window (2T+1, 3, h, w) -> the lattice (3, S, S, S) of its centre frame, without a look.

    A pure function. BackendError if the network's picture is not finite.
    """
    return on_backend_thread(lambda: _distil(window, options))


@torch.inference_mode()
def _distil(window: Tensor, options: BackendOptions) -> Tensor:
    backend = get_backend(options)
    sdr = sanitised(window)
    pq = network_picture(backend, sdr).clamp(0, pq_scalar(BASE_PEAK_NITS))
    step = max(1, round(pq[0].numel() / _FITTED_PIXELS))
    own, wanted = (picture.flatten(1)[:, None, ::step] for picture in (sdr[backend.radius_frames], pq))
    return fit_lattice(own, wanted, backend.base)
