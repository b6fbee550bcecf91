"""What a user may not ask of an encoder: what makes the file HDR10, by each encoder's own names."""

from __future__ import annotations

from typing import Any

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


@pytest.mark.parametrize(
    ("codec", "options", "told"),
    [
        ("prores", {"crf": 18.0}, "crf=18.0 is not allowed: only with codec hevc or av1; leave it out"),
        ("exr", {"preset": "draft"}, "preset='draft' is not allowed: only with codec hevc or av1"),
        (
            "png",
            {"parameters": {"aq-mode": "3"}},
            "params={'aq-mode': '3'} is not allowed: only with codec hevc or av1",
        ),
        ("dnxhr", {"hdr10plus": True}, "hdr10plus=True is not allowed: only with codec hevc or av1"),
        ("dnxhr", {"profile": "4444"}, "profile='4444' is not allowed: only with codec prores"),
        ("png", {"exr_white_nits": 100.0}, "exr_white=100.0 is not allowed: only with codec exr"),
        ("hevc", {"start_number": 0}, "start_number=0 is not allowed: only with codec exr or png or tiff"),
        ("exr", {"transfer": "hlg"}, "transfer='hlg' is not allowed: only with other codecs than exr"),
    ],
)
def test_what_a_codec_has_no_use_for_is_refused(codec: Codec, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        EncodeSettings(codec=codec, **options)
    assert told in str(caught.value)


def test_the_model_follows_the_preset_unless_it_is_named() -> None:
    assert EncodeSettings().model == EncodeSettings(preset="draft").model == "dslnet-fast"
    assert EncodeSettings(codec="prores").model == "dslnet-fast"
    assert EncodeSettings(preset="archive").model == "dslnet"
    assert EncodeSettings(model="dslnet-lut").model == "dslnet-lut"
