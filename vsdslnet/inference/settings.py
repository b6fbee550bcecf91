"""What Convert can be asked for, validated; importing it does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from vsdslnet.errors import ArgumentError

__all__ = ["Backend", "ConvertSettings", "Device", "EngineSettings", "LookSettings", "Precision"]

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Backend = Literal["auto", "torch", "openvino"]

MIN_PEAK_NITS = 300.0
MAX_PEAK_NITS = 10_000.0
MIN_TILE_PX = 64


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Which network runs where and how; equal settings share one engine."""

    model: str = "dslnet"
    device: str = "auto"
    device_index: int = 0
    precision: str = "auto"
    backend: str = "auto"
    tile: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model:
            raise ArgumentError("model", self.model, "a model's name or the path of a .safetensors file")
        _choice("device", self.device, Device)
        _choice("precision", self.precision, Precision)
        _choice("backend", self.backend, Backend)
        if not _is_whole(self.device_index) or not 0 <= self.device_index < 64:
            raise ArgumentError(
                "device_index", self.device_index, "a whole number from 0 to 63", "0 is the first device"
            )
        if self.tile is not None and not _is_tile(self.tile):
            raise ArgumentError(
                "tile",
                self.tile,
                f"(width, height), whole numbers of at least {MIN_TILE_PX} pixels",
                "leave it out to have it chosen by the memory available",
            )


@dataclass(frozen=True, kw_only=True)
class LookSettings:
    """What is done with the network's picture before it leaves."""

    peak_nits: float = 1000.0
    strength: float = 1.0
    saturation: float = 1.0

    def __post_init__(self) -> None:
        _within("peak", self.peak_nits, MIN_PEAK_NITS, MAX_PEAK_NITS, "nits of the brightest highlight")
        _within("strength", self.strength, 0.0, 1.0, "0 is plain conversion, 1 the network")
        _within("saturation", self.saturation, 0.0, 4.0, "1 leaves chroma as it is")


@dataclass(frozen=True, kw_only=True)
class ConvertSettings(EngineSettings, LookSettings):
    """Everything a converter needs: engine and look."""

    def __post_init__(self) -> None:
        EngineSettings.__post_init__(self)
        LookSettings.__post_init__(self)

    @property
    def engine(self) -> EngineSettings:
        """The engine's half, by which engines are shared."""
        return EngineSettings(
            model=self.model,
            device=self.device,
            device_index=self.device_index,
            precision=self.precision,
            backend=self.backend,
            tile=self.tile,
        )

    @property
    def look(self) -> LookSettings:
        """The look's half."""
        return LookSettings(peak_nits=self.peak_nits, strength=self.strength, saturation=self.saturation)


def _choice(argument: str, value: str, choices: object) -> None:
    allowed = get_args(choices)
    if value not in allowed:
        raise ArgumentError(argument, value, "one of " + ", ".join(allowed))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_tile(value: object) -> bool:
    # A list would do as well, but settings are keys: equal ones share an engine.
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    return all(_is_whole(side) and side >= MIN_TILE_PX for side in value)


def _within(argument: str, value: object, low: float, high: float, meaning: str) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # NaN fails both comparisons.
    if not number or not low <= value <= high:  # type: ignore[operator]
        raise ArgumentError(argument, value, f"a number from {low:g} to {high:g} ({meaning})")
