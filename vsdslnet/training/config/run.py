"""The recipe of a training run: strict, read from TOML, written into every checkpoint."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from vsdslnet.errors import ArgumentError
from vsdslnet.network.config import DSLNetConfig

__all__ = [
    "LossConfig",
    "OptimiserConfig",
    "Precision",
    "ToneConfig",
    "TrainConfig",
    "available_schedules",
    "load_schedule",
]

Precision = Literal["auto", "no", "bf16"]


class LossConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Weights of the loss terms; a term with weight 0 is not computed.

    ``l1``           mean absolute difference in PQ: the paper's loss.
    ``itp``          mean dE_ITP / 720 (BT.2124), the colour term.
    ``detail``       mean absolute difference of slopes in PQ: noise and blocking count, a tone that the
                     picture leaves open does not.
    ``restore``      mean absolute difference in PQ to what the ``teacher`` makes of the clean SDR frame: "start" is
                     the network that the steps start from, point by point (``pointwise.restoration``), "base" the
                     base alone, with the neighbourhood that its gain follows.
    ``flow``         mean distance in px of LDOE's mean offset from the known motion.
    ``steady``       mean shift of the picture from one frame to the next, beyond ``steady_slack`` (PQ),
                     while a bright or dark object enters elsewhere in the frame, or a
                     flash lights a neighbour.
    ``ramp``         what the output misses of a slope between ``ramp_slope`` times the base's, on flat
                     fields of neighbouring greys and on ramps inside real frames; and any cast of the fields.
    ``shapes``       as ``restore``, on synthetic shapes of saturated light (``simulation.synthetic``).
    ``fair_floor``   above 0, windows weigh less the more the measured base misses of them
                     (:func:`~vsdslnet.training.loop.objective.window_weights`), in ``l1`` and ``itp``.
    ``guard_every``  steps between two that compute ``steady``, ``ramp`` and ``shapes`` (they cost extra passes).
    """

    l1: float = 1.0
    itp: float = 0.35
    detail: float = 0.0
    restore: float = 0.0
    teacher: Literal["start", "base"] = "start"
    flow: float = 0.004
    steady: float = 1.0
    steady_slack: float = 0.003
    ramp: float = 0.1
    ramp_slope: tuple[float, float] = (0.3, 2.0)
    shapes: float = 0.0
    fair_floor: float = 0.0
    guard_every: int = 3


class OptimiserConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Adam and its schedule.

    ``schedule``          "cosine" over all steps, or "halving" at ``halve_at`` (the paper).
    ``condition_rate``    factor on the rate for ConditionNet and the modulation branch; 0 leaves them as they are.
    ``offset_rate``       factor on the rate for LDOE; 0 leaves it as it is.
    ``head_rate``         factor on the rate for the head. Adam moves every weight as far, and the head adds up
                          hundreds of features: an untrained one at full rate throws the picture about until LKQE's
                          first ReLU is dead.
    """

    rate: float = 5e-4
    schedule: Literal["cosine", "halving"] = "cosine"
    halve_at: tuple[int, ...] = ()
    warmup_steps: int = 100
    betas: tuple[float, float] = (0.9, 0.99)
    condition_rate: float = 0.3
    offset_rate: float = 0.5
    head_rate: float = 1.0
    clip_norm: float = 0.5


class ToneConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The stage before the steps, on scattered points (:mod:`vsdslnet.training.loop.tone`); 0 ``steps`` for none.

    ``initialise`` initialises the network from data; without it the stage goes on from the weights it is given.
    ``conditions_only`` trains ConditionNet and the modulation branch alone: after a restoration, that stays as it is.
    ``look_shares`` says how often windows of each SDR look are drawn ("phone" is that of real pairs); empty: as often
    as the datasets hold them. ``target`` "base" asks for the base of each point instead of its master: what a network
    says of the tone of another base is unlearnt so. ``windows`` pictures a step, ``points`` of each. ``ramp`` (fades
    included), ``steady`` and ``colors`` (synthetic coloured light comes out near the base) weigh the guards, computed
    every ``guard_every`` steps.
    """

    steps: int = 0
    initialise: bool = True
    conditions_only: bool = False
    target: Literal["master", "base"] = "master"
    look_shares: dict[str, float] = msgspec.field(default_factory=dict)
    windows: int = 64
    points: int = 64
    rate: float = 7e-4
    weight_decay: float = 0.01
    ramp: float = 0.1
    steady: float = 1.0
    colors: float = 0.3
    guard_every: int = 3
    ema_decay: float = 0.995


class TrainConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One training run, whole.

    ``batch``             windows a step over all processes.
    ``patch_px``          side of the square crops, a multiple of 4 from 16 on.
    ``offset_batches``    batches of known motion that LDOE is initialised from; 0 leaves it random.
    ``noise_share``       share of the windows that get more noise, of ``noise_code`` 8-bit codes, new in every frame.
    ``misaligned_share``  share of the windows some of whose frames are moved by up to ``misaligned_px`` px after all
                          else: what moves as no estimate follows (hair, water) is rare in simulated shots.
    ``shrink``            factor on the finished network's corrections: what data can't tell is safer with the base.
    ``repeat_centre``     share of the windows whose neighbours are replaced by the centre frame.
    ``precision``         "bf16", or "no" for fp32; "auto" is bf16 where the device has it: emulated it is
                          slower than fp32. Name one where runs on several kinds of machines are to agree.
    """

    network: DSLNetConfig = DSLNetConfig()
    loss: LossConfig = LossConfig()
    tone: ToneConfig = ToneConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    steps: int = 4000
    batch: int = 8
    patch_px: int = 64
    offset_batches: int = 0
    noise_share: float = 0.0
    noise_code: tuple[float, float] = (2.0, 8.0)
    misaligned_share: float = 0.0
    misaligned_px: int = 4
    shrink: float = 1.0
    repeat_centre: float = 0.2
    precision: Precision = "auto"
    ema_decay: float = 0.998
    seed: int = 1
    checkpoint_seconds: float = 180.0
    validate_every: int = 500
    validation_windows: int = 10

    def __post_init__(self) -> None:
        if self.patch_px % 4 or self.patch_px < 16:
            raise ArgumentError("patch_px", self.patch_px, "a multiple of 4, at least 16")
        if self.batch < 1 or self.steps < 0:
            raise ArgumentError("batch, steps", (self.batch, self.steps), "at least 1 window, 0 steps")


def available_schedules() -> list[str]:
    """Names of the schedules that come with the package."""
    folder = resources.files("vsdslnet.training.config") / "schedules"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_schedule(name: str) -> TrainConfig:
    """A schedule by its name or a TOML file by its path; ArgumentError names what is wrong with it."""
    path = Path(name)
    if path.suffix == ".toml":
        if not path.is_file():
            raise ArgumentError("schedule", name, "an existing TOML file", "check the path")
        text = path.read_text()
    elif name in available_schedules():
        text = (resources.files("vsdslnet.training.config") / "schedules" / f"{name}.toml").read_text()
    else:
        raise ArgumentError("schedule", name, f"one of {', '.join(available_schedules())} or a .toml file")
    try:
        return msgspec.toml.decode(text, type=TrainConfig)
    except msgspec.MsgspecError as error:
        raise ArgumentError("schedule", name, f"valid keys and values: {error}") from None
