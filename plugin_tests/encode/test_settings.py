"""What a user may not ask of an encoder: what makes the file HDR10, by each encoder's own names."""

from __future__ import annotations

import pytest

from vsdslnet.encode.chunk.encoder_parameters import svt_parameters, x265_parameters
from vsdslnet.encode.settings import Codec, EncodeSettings
from vsdslnet.errors import ArgumentError


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("hevc", "max-cll"),
        ("hevc", "max_cll"),  # x265 reads it as the former
        ("hevc", "no-open-gop"),
        ("av1", "color-primaries"),
        ("av1", "transfer-characteristics"),
        ("av1", "matrix-coefficients"),
        ("av1", "color-range"),
        ("av1", "irefresh-type"),
        ("av1", "keyint"),
        *(("av1", name) for name in svt_parameters(EncodeSettings(codec="av1")) if name != "scd"),
    ],
)
def test_what_makes_the_file_hdr10_is_not_a_users_to_set(codec: Codec, name: str) -> None:
    with pytest.raises(ArgumentError, match=f"params='{name}' is not allowed"):
        EncodeSettings(codec=codec, parameters={name: "1"})


def test_everything_else_reaches_the_encoder() -> None:
    hevc = EncodeSettings(parameters={"no-sao": "1", "rd": "5"})
    assert x265_parameters(hevc, frames=8).items() >= hevc.parameters.items()
    av1 = EncodeSettings(codec="av1", parameters={"film-grain": "8", "tune": "0"})
    assert svt_parameters(av1).items() >= av1.parameters.items()
