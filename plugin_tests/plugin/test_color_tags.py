"""What is believed of a frame's properties, what is guessed, what is refused."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import vapoursynth as vs

from vsdslnet.errors import ArgumentError, ClipError
from vsdslnet.plugin.color_tags import ColorOverrides, ColorTags, guess_tags, read_tags
from vsdslnet.plugin.sdr_rgb import to_sdr_rgb

HD = ColorTags(matrix=1, transfer=1, primaries=1, range=0, chroma_location=0)


def read(props: dict[str, Any], *, family: Any = vs.YUV, guess: ColorTags = HD, **overrides: int) -> ColorTags:
    return read_tags(props, family, guess, ColorOverrides(**overrides))


@pytest.mark.parametrize(
    ("size", "matrix", "primaries"),
    [
        ((1920, 1080), 1, 1),
        ((1280, 534), 1, 1),
        ((960, 720), 1, 1),
        ((800, 640), 1, 1),
        ((720, 576), 6, 5),
        ((720, 480), 6, 6),
        ((704, 486), 6, 6),
        ((640, 360), 6, 1),
        ((1279, 576), 6, 5),
        ((1, 1), 6, 1),
    ],
)
def test_untagged_clips_are_guessed_by_size_as_players_do(size: tuple[int, int], matrix: int, primaries: int) -> None:
    guess = guess_tags(vs.YUV, *size)
    assert (guess.matrix, guess.primaries, guess.transfer, guess.range) == (matrix, primaries, 1, 0)


def test_untagged_rgb_is_full_range_video() -> None:
    assert guess_tags(vs.RGB, 720, 576) == ColorTags(matrix=0, transfer=1, primaries=1, range=1, chroma_location=0)


def test_the_frame_is_believed() -> None:
    props = {"_Matrix": 6, "_Transfer": 13, "_Primaries": 5, "_Range": 1, "_ChromaLocation": 1}
    assert read(props) == ColorTags(matrix=6, transfer=13, primaries=5, range=1, chroma_location=1)


def test_arguments_overrule_the_frame() -> None:
    props = {"_Matrix": 6, "_Transfer": 13, "_Primaries": 5, "_Range": 1, "_ChromaLocation": 1}
    overridden = read(props, matrix_in=1, transfer_in=1, primaries_in=1, range_in=0, chromaloc_in=0)
    assert overridden == HD


@pytest.mark.parametrize("silence", [{}, {"_Matrix": 2, "_Transfer": 2, "_Primaries": 2}])
def test_silence_is_filled_with_the_guess(silence: dict[str, int]) -> None:
    guess = guess_tags(vs.YUV, 720, 576)
    assert read(silence, guess=guess) == guess


@pytest.mark.parametrize("junk", [0, 3, 77, -5, 2**40, 1.5, b"1", "x", [], [77, 1], ["x", 1]])
def test_reserved_codes_and_other_types_count_as_silence(junk: object) -> None:
    names = ("_Matrix", "_Transfer", "_Primaries", "_ChromaLocation", "_Range", "_FieldBased")
    props = {name: junk for name in names if junk not in (0, 3) or name in ("_Matrix", "_Transfer", "_Primaries")}
    if isinstance(junk, int) and junk > 0:
        props.pop("_FieldBased", None)
    if junk == [77, 1]:
        props.pop("_FieldBased")
    assert read(props) == HD


def test_of_several_values_the_first_counts_as_in_resize() -> None:
    props = {
        "_Matrix": [6, 1],
        "_Transfer": [13, 16],
        "_Primaries": [5, 1],
        "_Range": [1, 0],
        "_ChromaLocation": [1, 0],
    }
    assert read(props | {"_FieldBased": [0, 2]}) == ColorTags(
        matrix=6, transfer=13, primaries=5, range=1, chroma_location=1
    )
    with pytest.raises(ClipError, match="interlaced"):
        read({"_FieldBased": [2, 0]})
    with pytest.raises(ClipError, match="HDR already"):
        read({"_Transfer": [16, 1]})


def test_missing_primaries_follow_a_matrix_of_one_standard() -> None:
    sd = guess_tags(vs.YUV, 720, 576)
    assert read({"_Matrix": 9}, guess=HD).primaries == 9
    assert read({"_Matrix": 1}, guess=sd).primaries == 1
    assert read({"_Matrix": 5}, guess=sd).primaries == 5


def test_the_users_matrix_tells_missing_primaries_as_the_frames_does() -> None:
    assert read({}, matrix_in=9).primaries == 9
    assert read({"_Primaries": 5}, matrix_in=9).primaries == 5


@pytest.mark.parametrize(
    ("props", "overrides", "expected"),
    [
        ({"_Matrix": 10, "_Transfer": 14}, {}, (10, 14, 9)),
        ({"_Matrix": 10, "_Transfer": 13}, {}, (9, 13, 9)),
        ({"_Matrix": 10, "_Transfer": 2}, {}, (10, 1, 9)),
        ({"_Matrix": 12, "_Primaries": 10}, {}, (1, 1, 10)),
        ({"_Matrix": 13, "_Primaries": 5}, {}, (13, 1, 5)),
        ({"_Matrix": 1, "_Transfer": 8}, {"matrix_in": 10}, (10, 1, 9)),
        ({"_Matrix": 10, "_Primaries": 9}, {"transfer_in": 8}, (9, 8, 9)),
        ({"_Matrix": 1, "_Primaries": 10}, {"matrix_in": 12}, (12, 1, 1)),
        ({"_Matrix": 13, "_Primaries": 1}, {"primaries_in": 10}, (1, 1, 10)),
    ],
)
def test_codes_that_can_not_go_together(props: Any, overrides: Any, expected: tuple[int, ...]) -> None:
    tags = read(props, **overrides)
    assert (tags.matrix, tags.transfer, tags.primaries) == expected


@pytest.mark.parametrize("wrong", [{"matrix_in": 10, "transfer_in": 8}, {"matrix_in": 12, "primaries_in": 10}])
def test_two_overrides_that_can_not_go_together_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ArgumentError, match=r"^matrix_in=1\d is not allowed: beside \w+_in=\d+, .*; leave one"):
        ColorOverrides(**wrong)


@pytest.mark.parametrize("family", [vs.YUV, vs.GRAY, vs.RGB])
def test_resize_takes_whatever_a_frame_says(core: Any, family: Any) -> None:
    """Every matrix x transfer x primaries with a name, reserved ones among them, and the first ones beyond."""
    blanks = {vs.YUV: vs.YUV444P8, vs.GRAY: vs.GRAY8, vs.RGB: vs.RGB24}
    clip = core.std.BlankClip(format=blanks[family], width=16, height=16, length=1)
    guess = guess_tags(family, 720, 480)
    found = {
        read({"_Matrix": matrix, "_Transfer": transfer, "_Primaries": primaries}, family=family, guess=guess)
        for matrix, transfer, primaries in product(set(range(19)) - {14}, set(range(20)) - {16, 18}, range(24))
    }
    for tags in found:
        to_sdr_rgb(clip.std.SetFrameProps(**tags.as_props(family))).get_frame(0).close()


def test_a_matrix_on_rgb_is_ignored() -> None:
    rgb = guess_tags(vs.RGB, 1920, 1080)
    assert read({"_Matrix": 1}, family=vs.RGB, guess=rgb).matrix == 0
    assert read({"_Matrix": 0}, family=vs.YUV).matrix == 1


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_refused_unless_the_user_knows_better(transfer: int) -> None:
    with pytest.raises(ClipError, match=r"HDR already.*transfer_in=1"):
        read({"_Transfer": transfer})
    assert read({"_Transfer": transfer}, transfer_in=1).transfer == 1


PROFILE_5 = {"DolbyVisionRPU": b"\x19", "_Matrix": 2, "_Transfer": 2, "_Primaries": 2}


@pytest.mark.parametrize(
    ("props", "says"),
    [
        (PROFILE_5, r"DolbyVisionRPU and no _Transfer: Dolby Vision profile 5"),
        ({"_Matrix": 14}, "_Matrix=14, ICtCp"),
        ({"_Matrix": 14, "_Transfer": 1}, "_Matrix=14, ICtCp"),
        ({"HDR10Plus": b"1"}, "HDR10Plus and no _Transfer"),
        ({"MasteringDisplayMaxLuminance": 1000.0}, "MasteringDisplayMaxLuminance=1000 and no _Transfer"),
        ({"ContentLightLevelMax": 812, "_Transfer": 2}, "ContentLightLevelMax=812 and no _Transfer"),
        ({"ContentLightLevelMax": 812, "_Transfer": 77}, "ContentLightLevelMax=812 and no _Transfer"),
    ],
)
def test_hdr_without_a_transfer_is_told_by_what_comes_with_it(props: dict[str, Any], says: str) -> None:
    with pytest.raises(ClipError, match=rf"HDR already \({says}.*transfer_in=1"):
        read(props)
    assert read(props, transfer_in=1).transfer == 1


@pytest.mark.parametrize(
    "props",
    [
        PROFILE_5 | {"_Transfer": 1},  # profile 8.2: an SDR picture under Dolby Vision
        {"MasteringDisplayMaxLuminance": 1000.0, "ContentLightLevelMax": 1000, "_Transfer": 1},  # tone-mapped
        {"MasteringDisplayMaxLuminance": 100.0, "ContentLightLevelMax": 0},  # an SDR master's display
        {"_Primaries": 9, "_Transfer": 14},
        {"_Primaries": 9, "_Matrix": 9, "_Transfer": 15},
        {"_Primaries": 9},
    ],
)
def test_sdr_is_not_taken_for_hdr(props: dict[str, Any]) -> None:
    assert read(props).transfer == props.get("_Transfer", 1)


@pytest.mark.parametrize("field_based", [1, 2])
def test_interlaced_is_refused_with_the_cure(field_based: int) -> None:
    with pytest.raises(ClipError, match=r"interlaced.*deinterlace.*SetFieldBased"):
        read({"_FieldBased": field_based})


@pytest.mark.parametrize(
    "wrong",
    [
        {"matrix_in": 3},
        {"transfer_in": 16},
        {"transfer_in": 2},
        {"primaries_in": 0},
        {"range_in": 2},
        {"chromaloc_in": 6},
    ],
)
def test_wrong_overrides_name_themselves(wrong: dict[str, int]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(ArgumentError, match=rf"^{name}={value} is not allowed: .*; ") as caught:
        ColorOverrides(**wrong)
    assert caught.value.argument == name


@pytest.mark.parametrize(("matrix", "family"), [(0, vs.YUV), (0, vs.GRAY), (1, vs.RGB)])
def test_a_matrix_that_the_colour_family_can_not_have_is_refused(matrix: int, family: Any) -> None:
    with pytest.raises(ArgumentError, match="matrix_in"):
        ColorOverrides(matrix_in=matrix).check_family(family)
