"""The metadata of a programme as JSON, in the form that hdr10plus_tool and x265's ``--dhdr10-info`` read."""

from __future__ import annotations

import json
from collections.abc import Sequence

import vsdslnet
from vsdslnet.hdr10plus.metadata import PERCENTAGES, ShotMetadata

__all__ = ["json_text"]


def json_text(shots: Sequence[tuple[int, ShotMetadata]], *, frames: int) -> str:
    """``shots`` are their first frames with their metadata, in order; ``frames`` is how many the programme has."""
    firsts = [first for first, _ in shots]
    lengths = [end - first for first, end in zip(firsts, [*firsts[1:], frames], strict=True)]
    scenes = [
        _frame(metadata, scene=scene, frame=frame, first=first)
        for scene, ((first, metadata), length) in enumerate(zip(shots, lengths, strict=True))
        for frame in range(length)
    ]
    return json.dumps(
        {
            "JSONInfo": {"HDR10plusProfile": "B", "Version": "1.0"},
            "SceneInfo": scenes,
            "SceneInfoSummary": {"SceneFirstFrameIndex": firsts, "SceneFrameNumbers": lengths},
            "ToolInfo": {"Tool": "vsdslnet", "Version": vsdslnet.__version__},
        },
        indent=1,
    )


def _frame(metadata: ShotMetadata, *, scene: int, frame: int, first: int) -> dict[str, object]:
    return {
        "BezierCurveData": {
            "Anchors": metadata.curve.anchors,
            "KneePointX": metadata.curve.knee[0],
            "KneePointY": metadata.curve.knee[1],
        },
        "LuminanceParameters": {
            "AverageRGB": metadata.average_maxrgb,
            "LuminanceDistributions": {
                "DistributionIndex": PERCENTAGES,
                "DistributionValues": metadata.distribution,
            },
            "MaxScl": metadata.max_scl,
        },
        "NumberOfWindows": 1,
        "SceneFrameIndex": frame,
        "SceneId": scene,
        "SequenceFrameIndex": first + frame,
        "TargetedSystemDisplayMaximumLuminance": metadata.target_nits,
    }
