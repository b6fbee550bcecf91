"""A programme's shots with their metadata, from the light that its chunks measured."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from vsdslnet.hdr10plus.json_file import json_text
from vsdslnet.hdr10plus.measure import shot_metadata
from vsdslnet.hdr10plus.metadata import ShotMetadata
from vsdslnet.hdr10plus.shot_light import ShotLight

__all__ = ["Programme", "programme_of"]


class Programme:
    """``shots``: their first frames with their metadata, in order; ``frames``: how many there are in all."""

    def __init__(self, shots: Sequence[tuple[int, ShotMetadata]], *, frames: int) -> None:
        self.shots, self.frames = list(shots), frames
        self._firsts = [first for first, _ in self.shots]
        self._payloads = [metadata.t35_payload() for _, metadata in self.shots]

    def t35_payload(self, frame: int) -> bytes:
        """What this frame carries."""
        return self._payloads[bisect_right(self._firsts, frame) - 1]

    def json_text(self) -> str:
        """All of it, as other tools read it."""
        return json_text(self.shots, frames=self.frames)


def programme_of(lights: Iterable[ShotLight], cuts: Iterable[int], *, frames: int, target_nits: int) -> Programme:
    """``cuts`` are first frames of shots; a light that begins with none of them goes on with the shot before it."""
    firsts, shots = {0, *cuts}, []
    for light in sorted(lights, key=lambda light: light.first):
        if light.first in firsts:
            shots.append([light])
        else:
            shots[-1].append(light)
    made = [(shot[0].first, shot_metadata(shot, target_nits=target_nits)) for shot in shots]
    return Programme(made, frames=frames)
