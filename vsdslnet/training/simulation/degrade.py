"""From the SDR grade to what a decoder hands out: noise, 4:2:0, 8 bit, H.264, JPEG."""

from __future__ import annotations

from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from vsdslnet.training.config.dataset import DegradeConfig

__all__ = ["Degradation", "add_noise", "degrade", "from_yuv420", "h264", "jpeg", "sample_degradation", "to_yuv420"]

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
Floats = NDArray[np.float32]

_KR, _KB = 0.2126, 0.0722
_KG = 1 - _KR - _KB


class Degradation(msgspec.Struct, frozen=True, kw_only=True):
    """What is done to one shot; 0 switches a step off."""

    noise_code: float = 0.0
    shot: float = 0.0
    """Share of the noise that grows with the square root of the signal."""
    in_light: bool = False
    grain_px: float = 0.0
    crf: int = 0
    preset: str = ""
    lead_in_frames: int = 0
    jpeg_quality: int = 0


def sample_degradation(rng: np.random.Generator, config: DegradeConfig, *, photograph: bool) -> Degradation:
    """Draw what is done to a shot; ``photograph``: a still shot of a photograph, which may be a JPEG."""
    compressed = rng.random() < config.h264_share
    crf = int(rng.integers(config.crf[0], config.crf[1] + 1)) if compressed else 0
    lead = int(rng.integers(config.lead_in_frames[0], config.lead_in_frames[1] + 1)) if compressed else 0
    preset = str(rng.choice(list(config.presets))) if compressed else ""
    quality = 0
    if photograph and rng.random() < config.jpeg_share:
        quality = int(rng.integers(config.jpeg_quality[0], config.jpeg_quality[1] + 1))
    if rng.random() < config.clean_share:
        noise = 0.0
    elif rng.random() < config.strong_noise_share:
        noise = float(rng.uniform(*config.strong_noise_code))
    else:
        noise = float(min(rng.exponential(config.noise_code), config.noise_max_code))
    return Degradation(
        noise_code=noise,
        shot=float(rng.uniform(0, 1)),
        in_light=bool(rng.random() < config.light_noise_share),
        grain_px=float(rng.uniform(0.4, 1.0)) if rng.random() < config.grain_share else 0.0,
        crf=crf,
        preset=preset,
        lead_in_frames=lead,
        jpeg_quality=quality,
    )


def add_noise(rng: np.random.Generator, frame: Floats, *, noise_code: float, shot: float, grain_px: float) -> Floats:
    """Noise of ``noise_code``/255 on a signal (H, W, 3), two thirds shared by the channels as luma noise is."""
    height, width = frame.shape[:2]
    noise = rng.standard_normal((height, width, 4), dtype=np.float32)
    if grain_px > 0:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), grain_px))
        # Blurring by sigma divides the deviation by about 2 sqrt(pi) sigma.
        noise = noise * np.float32(max(2 * np.sqrt(np.pi) * grain_px, 1.0))
    coloured = 0.82 * noise[..., 3:] + 0.57 * noise[..., :3]
    strength = (1 - shot) + shot * 1.6 * np.sqrt(np.maximum(frame, 0))
    return np.asarray(frame + np.float32(noise_code / 255) * strength * coloured, dtype=np.float32)


def to_yuv420(rgb: Floats) -> Planes:
    """Full-range R'G'B' 0..1 (H, W, 3), even sizes -> 8-bit limited Y'CbCr BT.709 4:2:0, chroma siting left."""
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    y = _KR * r + _KG * g + _KB * b
    cb, cr = (b - y) / (2 * (1 - _KB)), (r - y) / (2 * (1 - _KR))
    luma = _round8(16 + 219 * y)
    return luma, _round8(128 + 224 * _shrink_chroma(cb)), _round8(128 + 224 * _shrink_chroma(cr))


def from_yuv420(planes: Planes) -> NDArray[np.uint8]:
    """8-bit limited 4:2:0 -> full-range R'G'B' (H, W, 3) 8 bit, chroma interpolated linearly from its left sites."""
    y = (planes[0].astype(np.float32) - 16) / 219
    cb = _grow_chroma(planes[1].astype(np.float32) - 128) / 224
    cr = _grow_chroma(planes[2].astype(np.float32) - 128) / 224
    r, b = y + 2 * (1 - _KR) * cr, y + 2 * (1 - _KB) * cb
    g = (y - _KR * r - _KB * b) / _KG
    return _round8(255 * np.stack([r, g, b], axis=-1))


def _round8(value: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    return np.clip(np.rint(value), 0, 255).astype(np.uint8)


def _shrink_chroma(plane: Floats) -> Floats:
    rows = 0.5 * (plane[0::2] + plane[1::2])
    left = np.concatenate([rows[:, :1], rows[:, 1:-1:2]], axis=1)
    return np.asarray(0.5 * rows[:, 0::2] + 0.25 * left + 0.25 * rows[:, 1::2], dtype=np.float32)


def _grow_chroma(plane: Floats) -> Floats:
    height, width = plane.shape
    up, down = np.vstack([plane[:1], plane[:-1]]), np.vstack([plane[1:], plane[-1:]])
    rows = np.empty((2 * height, width), np.float32)
    rows[0::2], rows[1::2] = 0.75 * plane + 0.25 * up, 0.75 * plane + 0.25 * down
    out = np.empty((2 * height, 2 * width), np.float32)
    out[:, 0::2] = rows
    out[:, 1:-1:2] = 0.5 * (rows[:, :-1] + rows[:, 1:])
    out[:, -1] = rows[:, -1]
    return out


def h264(frames: list[Planes], *, crf: int, preset: str) -> tuple[list[Planes], str]:
    """Encode with real x264 at a constant rate factor (one thread: bit for bit the same) and decode again.

    Also what each frame was coded as, a letter a frame: I, P, B.
    """
    import av
    from av.video.frame import PictureType

    height, width = frames[0][0].shape
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.framerate = 24
    encoder.thread_count = 1
    encoder.options = {"crf": str(crf), "preset": preset, "g": "60", "threads": "1"}
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    packets = []
    for planes in frames:
        frame = av.VideoFrame(width, height, "yuv420p")
        for plane, data in zip(frame.planes, planes, strict=True):
            padded = np.zeros((plane.height, plane.line_size), np.uint8)
            padded[:, : plane.width] = data
            plane.update(padded.tobytes())
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoded = [picture for packet in packets for picture in decoder.decode(packet)]
    decoded += decoder.decode(None)
    return [_planes_of(picture) for picture in decoded], "".join(
        PictureType(picture.pict_type).name for picture in decoded
    )


def _planes_of(picture: object) -> Planes:
    planes = []
    for plane in picture.planes:  # type: ignore[attr-defined]
        data = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        planes.append(np.ascontiguousarray(data[:, : plane.width]))
    return planes[0], planes[1], planes[2]


def jpeg(rgb: NDArray[np.uint8], *, quality: int) -> NDArray[np.uint8]:
    """One generation of JPEG (4:2:0, as cameras and sites write it)."""
    ok, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert ok
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert picture is not None
    return np.ascontiguousarray(picture[..., ::-1], dtype=np.uint8)


def degrade(
    rng: np.random.Generator, frames: list[Floats], how: Degradation, *, picture_rows: slice
) -> tuple[NDArray[np.uint8], str]:
    """Degrade the frames of a shot (each (H, W, 3) signal 0..1) -> (frames, H, W, 3) 8-bit R'G'B'.

    Also what each was coded as, a letter a frame (I, P, B), and "" when none was.
    Noise stays off black bars (outside ``picture_rows``); lead-in frames for the encoder are the
    shot played backwards, so that rate control and references have settled as in a real stream.
    """
    order = list(range(len(frames)))
    lead = [abs(i) for i in range(-how.lead_in_frames, 0)] if how.crf else []
    noisy = []
    for index in lead + order:
        frame = frames[index]
        if how.noise_code > 0 and not how.in_light:
            frame = frame.copy()
            frame[picture_rows] = add_noise(
                rng, frame[picture_rows], noise_code=how.noise_code, shot=how.shot, grain_px=how.grain_px
            )
        if how.jpeg_quality:
            frame = jpeg(_round8(255 * frame), quality=how.jpeg_quality).astype(np.float32) / np.float32(255)
        noisy.append(to_yuv420(frame))
    types = ""
    if how.crf:
        noisy, types = h264(noisy, crf=how.crf, preset=how.preset)
    kept = slice(len(lead), None)
    return np.stack([from_yuv420(planes) for planes in noisy[kept]]), types[kept]
