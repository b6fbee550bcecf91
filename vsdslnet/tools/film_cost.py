"""``vsdslnet bench FILM``: what a whole film would take on this machine, by each model, without converting it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import numpy as np
import vapoursynth as vs

from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import convert, open_source
from vsdslnet.encode.source.given import Given
from vsdslnet.encode.source.look import look_at
from vsdslnet.encode.source.probe import SourceInfo, open_media, probe
from vsdslnet.encode.source.script import frame_error
from vsdslnet.errors import BackendError, MediaError, one_line
from vsdslnet.options import BackendOptions
from vsdslnet.plugin.lut_keys import KEY_INTERVAL_FRAMES
from vsdslnet.weights import available_luts, available_models, is_lut

__all__ = ["Film", "ModelCost", "film_of", "model_costs"]

_NETWORK_PX = 480 * 270
"""The network is first timed on pictures of about this size."""
_LONG_SECONDS = 1.0
"""A frame that takes so long is large enough: its time is in proportion to the pixels, within some percent.

A smaller part of it would be what a frame costs whatever its size, which the conditions are most of.
"""
_SHOWN_FRAMES = 6
_NETWORK_FRAMES, _LUT_FRAMES = 2, 24
_PLACE = 1 / 3
"""Where in the film the frames come from that are shown to the models."""
_SECONDS_A_DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Film:
    """A film's size in pixels, how many frames it has, and some of them as YUV420P8 planes."""

    width: int
    height: int
    frames: int
    shown: list[av.VideoFrame]
    decoded_a_second: float
    """Frames that this machine decodes, when it does nothing else."""


@dataclass(frozen=True, kw_only=True)
class ModelCost:
    """What a model costs for a film: frames a second of the conversion alone, and what follows for all of it."""

    model: str
    precision: str
    frames_a_second: float
    hours: float

    @property
    def nodes_for_a_day(self) -> int:
        """Machines like this one that convert the film in 24 hours."""
        return math.ceil(self.hours * 3600 / _SECONDS_A_DAY)


def film_of(source: Given) -> Film:
    """Look at a film, a few frames of it only. MediaError if it can't be read or does not say how long it is."""
    if source.is_script:
        return _scripts_film(look_at(source, EncodeSettings()))
    info = probe(source.path, interlaced=True)
    if not info.duration_seconds:
        raise MediaError(f"{source.path}: does not say how long it is; remux it, for example into .mkv")
    started = time.perf_counter()
    assert info.track is not None
    taken = list(islice(_frames(source.path, info.track, info.duration_seconds * _PLACE), 4 * _SHOWN_FRAMES))
    seconds = time.perf_counter() - started
    if not taken:
        raise MediaError(f"{source.path}: no frame can be decoded at {info.duration_seconds * _PLACE:.0f} s")
    shown = [taken[number % len(taken)] for number in range(_SHOWN_FRAMES)]
    return Film(
        width=info.width,
        height=info.height,
        frames=max(1, round(info.duration_seconds * float(info.frame_rate))),
        shown=shown,
        decoded_a_second=len(taken) / seconds,
    )


def _scripts_film(info: SourceInfo) -> Film:
    """The same of a script's output; "decoded" is then all that the script does."""
    clip = open_source(info).clip
    first = int(len(clip) * _PLACE)
    width, height = info.width - info.width % 2, info.height - info.height % 2
    of_rgb = {"matrix_s": "709"} if info.is_rgb else {}
    untagged = clip.std.RemoveFrameProps(["_Matrix", "_Transfer", "_Primaries", "_ChromaLocation"])
    eight_bits = untagged.resize.Bicubic(width=width, height=height, format=vs.YUV420P8, **of_rgb)
    started, taken = time.perf_counter(), []
    try:
        for frame in eight_bits[first : first + 4 * _SHOWN_FRAMES].frames(close=True):
            planes = [np.asarray(frame[plane]).ravel() for plane in range(3)]
            flat = np.concatenate(planes).reshape(height * 3 // 2, width)
            taken.append(av.VideoFrame.from_ndarray(flat, format="yuv420p"))
    except vs.Error as error:
        raise MediaError(f"{info.path}: {frame_error(error)}") from None
    return Film(
        width=info.width,
        height=info.height,
        frames=len(clip),
        shown=[taken[number % len(taken)] for number in range(_SHOWN_FRAMES)],
        decoded_a_second=len(taken) / (time.perf_counter() - started),
    )


def model_costs(
    film: Film, backend: BackendOptions, *, told: Callable[[str, int, int], None] = lambda what, done, total: None
) -> Iterator[ModelCost]:
    """The cost of every installed model, of the precisions that pay here, then of the LUTs; the dearest first.

    ``backend``: on which device; a precision that is not "auto" is the only one. ``told`` hears what is timed.
    BackendError if a model can't run on the device.
    """
    precisions = [backend.precision] if backend.precision != "auto" else _precisions(backend)
    runs = [(model, precision) for model in available_models() for precision in precisions]
    runs += [(model, "auto") for model in available_luts()]
    for number, (model, precision) in enumerate(runs):
        told(f"{model} {precision}", number, len(runs))
        settings = EncodeSettings(**vars(backend) | {"model": model, "precision": precision}, scene_cuts="none")
        seconds = (_lut_seconds if is_lut(model) else _network_seconds)(film, settings)
        yield ModelCost(
            model=model,
            precision="" if is_lut(model) else precision,
            frames_a_second=1 / seconds,
            hours=film.frames * seconds / 3600,
        )
    told("done", len(runs), len(runs))


def _precisions(backend: BackendOptions) -> list[str]:
    from vsdslnet.inference.backends import choose_device
    from vsdslnet.inference.precision import bf16_is_native

    device = choose_device(backend.device, backend.device_index)
    if bf16_is_native(device):
        return ["fp32", "bf16"]
    return ["fp32", "fp16"] if device.type == "cuda" else ["fp32"]


def _network_seconds(film: Film, settings: EncodeSettings) -> float:
    """Seconds a frame of the film, from smaller pictures of it."""
    film_px = film.width * film.height
    pixels = min(_NETWORK_PX, film_px)
    while True:
        scale = math.sqrt(pixels / film_px)
        width, height = (max(16, 2 * round(side * scale / 2)) for side in (film.width, film.height))
        hdr = convert(_clip(film, width, height), settings)
        first = len(hdr) // 2
        _seconds(hdr, first, 1)  # loads the model, finds memory
        seconds = _seconds(hdr, first + 1, _NETWORK_FRAMES)
        if seconds >= _LONG_SECONDS or pixels == film_px:
            return seconds * film_px / (width * height)
        pixels = min(4 * pixels, film_px)


def _lut_seconds(film: Film, settings: EncodeSettings) -> float:
    """Seconds a frame at the film's own size, with its share of a LUT."""
    hdr = convert(_clip(film, film.width, film.height), settings)
    _seconds(hdr, 0, 1)  # loads the model
    learning = _seconds(hdr, KEY_INTERVAL_FRAMES, 1)
    applying = _seconds(hdr, 1, _LUT_FRAMES)
    return applying + max(0.0, learning - applying) / KEY_INTERVAL_FRAMES


def _seconds(clip: vs.VideoNode, first: int, frames: int) -> float:
    """Seconds a frame."""
    started = time.perf_counter()
    try:
        for frame in clip[first : first + frames].frames(close=True):
            frame.close()
    except vs.Error as error:
        raise BackendError(one_line(error)) from None
    return (time.perf_counter() - started) / frames


def _clip(film: Film, width: int, height: int) -> vs.VideoNode:
    """The frames shown, over and over."""
    width, height = width + width % 2, height + height % 2
    pictures = [frame.reformat(width, height, "yuv420p").to_ndarray() for frame in film.shown]
    blank = vs.core.std.BlankClip(
        format=vs.YUV420P8, width=width, height=height, length=2 * KEY_INTERVAL_FRAMES, keep=True
    )

    def filled(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        flat, start = pictures[n % len(pictures)].ravel(), 0
        for plane in range(3):
            view = np.asarray(out[plane])
            part = flat[start : start + view.size]
            np.copyto(view, part.reshape(view.shape))
            start += view.size
        return out

    return vs.core.std.ModifyFrame(blank, blank, filled).std.SetFrameProps(_Matrix=1, _Transfer=1, _Primaries=1)


def _frames(source: Path, track: int, seconds: float) -> Iterator[av.VideoFrame]:
    """Decoded frames from about a time on."""
    with open_media(source) as container:
        stream = container.streams[track]
        container.seek(int(seconds * av.time_base))
        try:
            yield from container.decode(stream)  # type: ignore[misc]
        except av.FFmpegError as error:
            raise MediaError(f"{source}: can't be decoded ({error.strerror})") from None
