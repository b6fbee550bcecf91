"""The recipe of a data set: every weight and range of the mixture, strict, read from TOML."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import msgspec

from vsdslnet.errors import ArgumentError

__all__ = [
    "TARGET_PEAK_NITS",
    "DataConfig",
    "DegradeConfig",
    "GradeConfig",
    "GroupConfig",
    "LayerConfig",
    "MotionConfig",
    "SourceConfig",
    "ViewConfig",
    "for_local",
    "for_restoration",
    "for_tone",
    "load_recipe",
]

TARGET_PEAK_NITS = 1000.0
"""No target is brighter: masters with a higher peak are clipped here, per channel, in light."""

_TONE_COLOURIST = 0.7


class ViewConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Sizes of the simulated shots and of what is cut from them (pixels, degrees)."""

    frames: int = 5
    crop_height: int = 96
    crop_width: int = 160
    cond_height: int = 72
    cond_width: int = 128
    crops_per_view: int = 2
    fov_degrees: tuple[float, float] = (50.0, 105.0)
    pitch_degrees: tuple[float, float] = (-30.0, 25.0)
    hdri_widths: tuple[int, ...] = (256, 256, 320, 320, 384, 448, 512)
    detailed_widths: tuple[int, ...] = (256, 320, 384, 512, 512, 640, 640, 768, 960, 1280)
    """Widths for sources with more real detail: photographs, stills, 4k maps."""


class MotionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the virtual camera moves, per frame."""

    still_share: float = 0.28
    subpixel_share: float = 0.45
    """Of the moving shots: pans of 0..``subpixel_max_px``; the others go up to ``pan_max_px``."""
    subpixel_max_px: float = 1.5
    pan_max_px: float = 7.0
    shake_share: float = 0.3
    shake_px: float = 0.8
    zoom_share: float = 0.3
    zoom_max: float = 0.006
    roll_share: float = 0.2
    roll_max_degrees: float = 0.4
    flicker_share: float = 0.06
    flicker_stops: float = 0.25
    fade_share: float = 0.04
    fade_stops: float = 0.8


class LayerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Foreground cut-outs and saturated lights with their own motion."""

    cutout_share: float = 0.25
    light_share: float = 0.12
    max_layers: int = 2
    pan_max_px: float = 9.0
    light_nits: tuple[float, float] = (60.0, 1500.0)


class GradeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Linear radiance -> HDR10 master; see :mod:`vsdslnet.training.simulation.grade`."""

    logmean_share: float = 0.6
    logmean_nits: float = 24.0
    logmean_sd_stops: float = 0.9
    white_quantile: tuple[float, float] = (0.88, 0.98)
    white_sd_stops: float = 0.7
    night_share: float = 0.14
    night_stops: float = -2.6
    high_key_share: float = 0.08
    high_key_stops: float = 1.2
    contrast: tuple[float, float] = (0.92, 1.2)
    contrast_pivot_nits: float = 60.0
    saturation: tuple[float, float] = (0.9, 1.25)
    wide_gamut_share: float = 0.45
    cast_sd: float = 0.06
    strong_cast_share: float = 0.05
    shoulder: tuple[float, float] = (0.25, 0.75)
    peaks_nits: dict[str, float] = msgspec.field(default_factory=lambda: {"1000": 0.78, "700": 0.12, "500": 0.1})
    crush_share: float = 0.12
    crush_nits: tuple[float, float] = (0.02, 0.6)
    bars_share: float = 0.12
    bars_lowkey_share: float = 0.4
    """Of the letterboxed shots: graded as night."""


class DegradeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What happens to the SDR side between the grade and the decoder's output."""

    clean_share: float = 0.2
    noise_code: float = 1.2
    """Standard deviation in 8-bit codes: an exponential with this mean, cut at ``noise_max_code``."""
    noise_max_code: float = 2.5
    strong_noise_share: float = 0.12
    strong_noise_code: tuple[float, float] = (2.0, 7.0)
    light_noise_share: float = 0.35
    """Of the noisy shots: noise added to the light, before the SDR curve (sensor noise)."""
    grain_share: float = 0.3
    """Of the noisy shots: noise blurred to the size of film grain."""
    h264_share: float = 0.5
    crf: tuple[int, int] = (16, 36)
    lead_in_frames: tuple[int, int] = (2, 3)
    presets: tuple[str, ...] = ("ultrafast", "superfast", "veryfast", "veryfast")
    jpeg_share: float = 0.1
    """Of the still shots of photographs."""
    jpeg_quality: tuple[int, int] = (60, 97)


class SourceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Weights of the kinds of material; see :mod:`vsdslnet.training.material.scenes` for the folders."""

    hdri: float = 0.70
    hdri_4k: float = 0.05
    still: float = 0.13
    pair: float = 0.06
    original: float = 0.06
    clip: float = 0.0


class GroupConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One named group of windows: what differs from the recipe's mixture."""

    name: str
    windows: int = 40
    sources: SourceConfig | None = None
    looks: dict[str, float] | None = None
    grade: GradeConfig | None = None
    motion: MotionConfig | None = None
    degrade: DegradeConfig | None = None


class DataConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole recipe."""

    looks: dict[str, float]
    validation_scenes: tuple[str, ...]
    """Scene ids that training never sees."""
    exclude_scenes: tuple[str, ...] = ()
    broadcast_lut: str = "luts/nbcu/5-NBCU_PQ2SDR_DL_v1.2.cube"
    youtube_lut: str = "luts/yt_hdr10_to_bt709_65.npy"
    """Below the data folder; without the file the look is refused by name."""
    view: ViewConfig = ViewConfig()
    motion: MotionConfig = MotionConfig()
    layers: LayerConfig = LayerConfig()
    grade: GradeConfig = GradeConfig()
    degrade: DegradeConfig = DegradeConfig()
    sources: SourceConfig = SourceConfig()
    validation: tuple[GroupConfig, ...] = ()


def load_recipe(path: Path | None = None) -> DataConfig:
    """Read a recipe; None is the one the shipped weights were trained with.

    Raises ArgumentError for a file that is not TOML, an unknown key, or a value of the wrong type.
    """
    text = files("vsdslnet.training.config.recipes").joinpath("default.toml").read_text() if path is None else None
    try:
        return msgspec.toml.decode(text if text is not None else Path(str(path)).read_text(), type=DataConfig)
    except (msgspec.DecodeError, OSError) as error:
        raise ArgumentError(
            "config", str(path), f"a readable recipe with known keys ({error})", "start from default.toml"
        ) from error


def for_tone(config: DataConfig) -> DataConfig:
    """For the tone stage, which reads centre frames only: one crop a view, no video codec, more grades by hand.

    Those spread the widest, and stand for every film; how often each look is drawn is up to the schedule.
    """
    replace = msgspec.structs.replace
    return replace(
        config,
        view=replace(config.view, frames=3, crops_per_view=1),
        degrade=replace(config.degrade, h264_share=0.0, clean_share=0.4),
        looks=config.looks | {"colourist": _TONE_COLOURIST},
    )


def for_local(config: DataConfig) -> DataConfig:
    """As for the restoration, in windows that hold the crops of 96 px of the schedule "local" with room to move."""
    wide = msgspec.structs.replace(config.view, crop_height=128, crop_width=192)
    return for_restoration(msgspec.structs.replace(config, view=wide))


def for_restoration(config: DataConfig) -> DataConfig:
    """The same scenes for the schedule "restore": worse noise and compression, more motion, more real detail.

    How bright the masters were does not matter there.
    """
    replace = msgspec.structs.replace
    return replace(
        config,
        sources=SourceConfig(hdri=0.4, hdri_4k=0.1, still=0.25, pair=0.1, original=0.15),
        motion=replace(config.motion, still_share=0.2),
        degrade=replace(
            config.degrade,
            clean_share=0.12,
            strong_noise_share=0.5,
            strong_noise_code=(3.0, 14.0),
            h264_share=0.45,
            crf=(20, 36),
        ),
    )
