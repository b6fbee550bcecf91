"""What a teacher makes of a dataset's windows, computed once: the target that a smaller network learns.

A teacher costs as much as twelve steps of its pupil, and its picture of a window does not change. So the neighbours are
brought onto the centre once, the teacher paints the centre once, and both are kept beside each other:

- ``aligned.npy`` (N, F, h, w, 3) uint16: the frames as a network gets them, R'G'B' full range;
- ``picture.npy`` (N, h, w, 3) uint16: the teacher's PQ BT.2020 of the centre frame, full range;
- ``lessons.json``: which dataset and which teacher they are of, and how many windows are done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsdslnet import weights
from vsdslnet.errors import ArgumentError, MediaError
from vsdslnet.inference.cpu.strip_layers import Target
from vsdslnet.inference.cpu.strip_network import Band, StreamedDSLNet
from vsdslnet.inference.precision import bf16_is_native
from vsdslnet.network.dslnet import Conditions, DSLNet, upsample_crop
from vsdslnet.network.motion.compensation import compensate_
from vsdslnet.training.dataset.store import WindowDataset, planes, write_json

__all__ = ["Lessons", "Painter", "prepare_lessons"]

_SAVE_EVERY = 32
_CODES = 65535


class Painter:
    """A teacher, ready to paint crops of frames under what their whole frames say."""

    def __init__(self, teacher: DSLNet, dtype: torch.dtype | None = None) -> None:
        """``dtype`` is that of its activations; by default bf16 where the processor has it, else fp32."""
        device = torch.device("cpu")
        if dtype is None:
            dtype = torch.bfloat16 if bf16_is_native(device) else torch.float32
        self.config = teacher.config
        self._teacher = teacher
        self._strips = StreamedDSLNet(teacher, Target(device, dtype))

    @torch.inference_mode()
    def __call__(self, window: Tensor, whole: Tensor, box: tuple[float, float, float, float]) -> Tensor:
        """Aligned frames (F, 3, h, w) that lie at ``box`` of the frames ``whole`` (F, 3, h', w') -> PQ (3, h, w)."""
        size = (window.shape[-2], window.shape[-1])
        said, _, lines = self._teacher.shared_conditions(whole[None])
        crop = said._replace(spatial=upsample_crop(said.spatial, size, [box]))
        if lines is not None:
            lines = upsample_crop(lines, size, [box])
        rows = -(-size[0] // 8) * 8
        # As in training, the dynamic kernels are the crop's own.
        own = self._strips.conditions(window, rows).kernels
        out = torch.empty(3, *size)
        self._strips.render(window, Conditions(crop, own, lines), Band(0, size[1], rows), out)
        return out


def prepare_lessons(
    dataset: WindowDataset,
    teacher: weights.WeightsFile,
    out: Path,
    *,
    windows: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Make a teacher's lessons of a dataset's windows in the folder ``out``, or go on with unfinished ones.

    Of all its windows, or of the first so many: a dataset's order is a mixture as good as any.

    Raises ArgumentError when ``out`` holds those of another dataset or teacher, or the frames are not the teacher's.
    """
    count, (height, width) = min(len(dataset), windows or len(dataset)), dataset.crop_size
    frames = teacher.config.frames
    stored = dataset.array("sdr").shape[1]
    if stored != frames:
        raise ArgumentError(
            "dataset", str(dataset.path), f"windows of {frames} frames, not {stored}", "the teacher has so many"
        )
    if teacher.config.scale != 1:
        raise ArgumentError("teacher", str(teacher.path), "a network of scale 1", "crops need not be whole blocks")
    identity = {"pool": dataset.manifest.get("sha256"), "teacher": teacher.sha256, "windows": count}
    done = _done(out, identity)
    shapes = {"aligned": (count, frames, height, width, 3), "picture": (count, height, width, 3)}
    if not done:
        out.mkdir(parents=True, exist_ok=True)
        for name, shape in shapes.items():
            np.lib.format.open_memmap(out / f"{name}.npy", mode="w+", dtype=np.uint16, shape=shape).flush()
    arrays = {name: np.lib.format.open_memmap(out / f"{name}.npy", mode="r+") for name in shapes}
    paint = Painter(weights.load_network(teacher))
    on_progress(done, count)
    for index in range(done, count):
        item = dataset[index]
        window, whole = planes(item["sdr"]), planes(item["cond"])
        if teacher.config.motion_compensated:
            compensate_(window)
        x0, y0, x1, y1 = item["crop"].tolist()
        arrays["aligned"][index] = _stored(window)
        arrays["picture"][index] = _stored(paint(window, whole, (x0, y0, x1, y1)))
        if (index + 1) % _SAVE_EVERY == 0 or index + 1 == count:
            for array in arrays.values():
                array.flush()
            write_json(out / "lessons.json", {**identity, "done": index + 1})
            on_progress(index + 1, count)


def _done(out: Path, identity: dict[str, object]) -> int:
    """Windows that are finished in a folder."""
    path = out / "lessons.json"
    if not path.is_file():
        return 0
    found = json.loads(path.read_text())
    if {name: found.get(name) for name in identity} != identity:
        raise ArgumentError("lessons", str(out), "a folder of this dataset's and this teacher's", "take another folder")
    return int(found["done"])


def _stored(signal: Tensor) -> NDArray[np.uint16]:
    """Signal (..., 3, h, w) as whole numbers (..., h, w, 3); what lies outside 0..1 is cut off."""
    codes = (signal.movedim(-3, -1).clamp(0, 1) * _CODES).round().to(torch.int32).numpy()
    return np.asarray(codes, dtype=np.uint16)


class Lessons:
    """Windows of several datasets with a teacher's pictures for their targets, in the form of a dataset."""

    def __init__(self, parts: Sequence[tuple[WindowDataset, Path]]) -> None:
        """Pairs of a dataset and the folder of its lessons; MediaError when one is not finished."""
        self._parts: list[tuple[WindowDataset, int, dict[str, NDArray[np.uint16]]]] = []
        for dataset, folder in parts:
            try:
                found = json.loads((folder / "lessons.json").read_text())
            except (OSError, ValueError) as error:
                raise MediaError(f"{folder} holds no lessons ({error})") from error
            if found["pool"] != dataset.manifest.get("sha256") or found["done"] != found["windows"]:
                raise MediaError(f"{folder} holds unfinished lessons, or those of another dataset than {dataset.path}")
            names = ("aligned", "picture")
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
            self._parts.append((dataset, found["windows"], arrays))

    def __len__(self) -> int:
        return sum(count for _, count, _ in self._parts)

    @property
    def crop_size(self) -> tuple[int, int]:
        """Height and width that every window has at least."""
        heights, widths = zip(*(dataset.crop_size for dataset, _, _ in self._parts), strict=True)
        return min(heights), min(widths)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """A window of :class:`~vsdslnet.training.dataset.store.WindowDataset`, with ``aligned`` and ``picture``."""
        for dataset, count, arrays in self._parts:
            if index < count:
                own = {name: torch.from_numpy(np.array(array[index])) for name, array in arrays.items()}
                return dataset[index] | own
            index -= count
        raise IndexError(f"window {index} behind the last of {len(self)}")
