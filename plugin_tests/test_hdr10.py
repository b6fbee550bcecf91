"""Static metadata: every spelling says the same."""

from __future__ import annotations

import struct

import pytest

from vsdslnet.hdr10 import ContentLight, mastering_display


def test_x265_reads_what_is_customary_for_p3_d65_at_1000_nits() -> None:
    wanted = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    assert mastering_display(1000).x265_text() == wanted


def test_svt_av1_reads_plain_numbers() -> None:
    text = mastering_display(600).svtav1_text()
    assert text.startswith("G(0.26500,0.69000)B(0.15000,0.06000)R(0.68000,0.32000)WP(0.31270,0.32900)")
    assert text.endswith("L(600.0000,0.0001)")


def test_mp4_payload_is_green_blue_red_white_max_min() -> None:
    numbers = struct.unpack(">8H2I", mastering_display(1000).mp4_payload())
    assert numbers == (13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450, 10_000_000, 1)


def test_frame_properties_are_red_green_blue_as_vapoursynth_orders_them() -> None:
    assert mastering_display(4000).frame_properties() == {
        "MasteringDisplayPrimariesX": [0.680, 0.265, 0.150],
        "MasteringDisplayPrimariesY": [0.320, 0.690, 0.060],
        "MasteringDisplayWhitePointX": 0.3127,
        "MasteringDisplayWhitePointY": 0.3290,
        "MasteringDisplayMinLuminance": 0.0001,
        "MasteringDisplayMaxLuminance": 4000,
    }


@pytest.mark.parametrize(
    ("max_nits", "average_nits", "wanted"), [(999.6, 203.4, "1000,203"), (0, 0, "1,1"), (1e6, 9, "65535,9")]
)
def test_measured_light_is_whole_nits_and_never_the_zero_that_means_unknown(
    max_nits: float, average_nits: float, wanted: str
) -> None:
    assert ContentLight.measured(max_nits, average_nits).x265_text() == wanted


def test_light_payload_is_two_big_endian_numbers() -> None:
    assert ContentLight(max_cll_nits=1000, max_fall_nits=400).payload() == bytes.fromhex("03e80190")
