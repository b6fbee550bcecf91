"""Windows of SDR frames to finished HDR frames: sanitise, run the backend, apply the look, measure light."""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

import torch
from torch import Tensor

from vsdslnet.color.light import max_and_sum_nits
from vsdslnet.errors import ArgumentError, BackendError
from vsdslnet.inference.backend import Backend
from vsdslnet.inference.backends import create_backend
from vsdslnet.inference.cpu.lanes import in_lanes, on_backend_thread
from vsdslnet.inference.foreign_frames import without_foreign_frames
from vsdslnet.inference.look import apply_look
from vsdslnet.looks import check_look
from vsdslnet.network.side_by_side import each
from vsdslnet.options import BackendOptions, ConvertOptions, LookOptions

__all__ = [
    "Converter",
    "HdrFrame",
    "get_backend",
    "looked",
    "network_picture",
    "sanitised",
]

_BAND_ROWS = 64
"""Rows of a frame that a thread finishes at once; what comes out is the same whoever does."""


class HdrFrame(NamedTuple):
    """One HDR frame and its light.

    ``pq``            (3, H, W) fp32, PQ BT.2020 R'G'B' within [0, PQ(peak)].
    ``max_nits``      brightest channel of the brightest pixel (MaxCLL's measure, CTA-861.3 annex P).
    ``average_nits``  mean over the frame of each pixel's brightest channel (MaxFALL's measure).

    >>> import torch
    >>> HdrFrame(torch.zeros(3, 4, 4), max_nits=0.0, average_nits=0.0).pq.shape
    torch.Size([3, 4, 4])
    """

    pq: Tensor
    max_nits: float
    average_nits: float


class Converter:
    """Turns windows into HDR frames; pure and safe to call from several threads.

    >>> import torch
    >>> from vsdslnet import ConvertOptions, Converter
    >>> convert = Converter.load(ConvertOptions(peak_nits=600, precision="fp32"))
    >>> frame = convert(torch.ones(2 * convert.radius_frames + 1, 3, 16, 16))
    >>> tuple(frame.pq.shape), frame.max_nits < 600.01
    ((3, 16, 16), True)
    """

    def __init__(self, backend: Backend, settings: ConvertOptions) -> None:
        self._backend = backend
        self._look: LookOptions = settings
        self.radius_frames = backend.radius_frames
        self.base = backend.base
        if settings.look is not None:
            check_look(settings.look, backend.base)

    @classmethod
    def load(cls, options: ConvertOptions) -> Converter:
        """A converter for these options; those with equal backend options share one backend, and so one model.

        WeightsError or BackendError if the model can't be loaded or can't run here.
        """
        return cls(get_backend(options.part(BackendOptions)), options)

    def window_memory(self, height: int, width: int) -> Tensor:
        """Memory (2T+1, 3, height, width) for windows that are converted fastest; any fp32 tensor will do as well."""
        return self._backend.window_memory((2 * self.radius_frames + 1, 3, height, width))

    def __call__(self, window: Tensor, *, overwrite: bool = False) -> HdrFrame:
        """SDR R'G'B' (2T+1, 3, H, W) fp32, nominally 0..1 (NaN counts as 0) -> the centre frame in HDR.

        With ``overwrite`` the window itself is worked on, which saves a copy of it (119 MiB of five 1080p frames).
        ArgumentError on another shape; BackendError if the network's picture holds a NaN.
        """
        frames = 2 * self.radius_frames + 1
        if window.dim() != 4 or window.shape[0] != frames or window.shape[1] != 3:
            raise ArgumentError("window", tuple(window.shape), f"({frames}, 3, height, width)")
        return on_backend_thread(lambda: self._convert(window, overwrite))

    @torch.inference_mode()
    def _convert(self, window: Tensor, overwrite: bool) -> HdrFrame:
        if self._look.strength == 0:
            centre = sanitised(window[self.radius_frames, None], overwrite=overwrite)[0]
            return _with_look(centre, centre, self._look)
        sdr = sanitised(window, overwrite=overwrite)
        # The backend may move the centre's neighbours, and never the centre.
        return _with_look(network_picture(self._backend, sdr), sdr[self.radius_frames], self._look)


def sanitised(window: Tensor, *, overwrite: bool = False) -> Tensor:
    """SDR frames within 0..1: NaN counts as 0, infinities as the nearer end; a copy unless told to ``overwrite``."""
    sdr = window if overwrite else torch.empty_like(window)

    def sanitise(at: tuple[int, int]) -> None:
        torch.clamp(window[at], 0, 1, out=sdr[at]).nan_to_num_(nan=0.0)

    each(sanitise, [(frame, plane) for frame in range(len(window)) for plane in range(3)], in_lanes)
    return sdr


def network_picture(backend: Backend, sdr: Tensor) -> Tensor:
    """A backend's picture of a sanitised window, without its foreign frames; BackendError if it holds a NaN."""
    pq = backend(without_foreign_frames(sdr, in_lanes))
    if bool(pq.isnan().any()):
        raise BackendError(
            f"the network gave numbers that are not finite ({backend.description}): "
            "use precision='fp32' or another model"
        )
    return pq


def looked(network_pq: Tensor, sdr: Tensor, look: LookOptions) -> HdrFrame:
    """What a :class:`Converter` with this look gives where one with the default look gave ``network_pq``.

    Both (3, H, W) fp32; ``sdr`` is the window's centre, nominally 0..1.
    """

    @torch.inference_mode()
    def finish() -> HdrFrame:
        return _with_look(network_pq, sanitised(sdr[None])[0], look)

    return on_backend_thread(finish)


def _with_look(network_pq: Tensor, sdr: Tensor, look: LookOptions) -> HdrFrame:
    """The network's PQ (3, H, W) and the SDR frame it came from -> the frame with its look, and its light."""
    pq = torch.empty_like(network_pq)

    def finish(rows: slice) -> tuple[float, float]:
        pq[:, rows] = apply_look(network_pq[:, rows], sdr[:, rows], look)
        return max_and_sum_nits(pq[:, rows])

    height = pq.shape[-2]
    bands = [slice(first, min(first + _BAND_ROWS, height)) for first in range(0, height, _BAND_ROWS)]
    light = each(finish, bands, in_lanes)
    return HdrFrame(pq, max(most for most, _ in light), math.fsum(total for _, total in light) / pq[0].numel())


_backends: dict[BackendOptions, Backend] = {}
_backends_lock = threading.Lock()


def get_backend(settings: BackendOptions) -> Backend:
    """The backend for these settings; equal ones share it, and so one model."""
    with _backends_lock:
        backend = _backends.get(settings)
        if backend is None:
            backend = _backends[settings] = create_backend(settings)
    return backend
