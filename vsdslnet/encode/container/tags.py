"""Tags of a file and its streams that are still true of another file, and those that its container has a place for."""

from __future__ import annotations

import io

import av

from vsdslnet.encode.ffmpeg_log import ffmpeg_messages

__all__ = ["fresh_tags", "lost_tags", "stream_tags"]

# Tags that describe the old file's bits, not its content; muxers write their own.
_STALE_TAGS = frozenset(
    {"alpha_mode", "bps", "compatible_brands", "duration", "encoder", "major_brand", "minor_version", "software"}
)
# MXF: who wrote it, when, and the numbers of its packages.
_STALE_TAGS_OF_MXF = frozenset(
    {"application_platform", "company_name", "file_package_umid", "generation_uid", "material_package_umid"}
    | {"modification_date", "operational_pattern_ul", "product_name", "product_uid", "product_version"}
    | {"product_version_num", "toolkit_version_num", "uid"}
)
_STALE_PREFIXES = ("_statistics", "number_of_", "bps-", "duration-", "vendor_id")


def fresh_tags(tags: dict[str, str]) -> dict[str, str]:
    """Tags without those that a new file makes untrue."""
    return {
        name: value
        for name, value in tags.items()
        if name.lower() not in _STALE_TAGS | _STALE_TAGS_OF_MXF and not name.lower().startswith(_STALE_PREFIXES)
    }


def stream_tags(tags: dict[str, str]) -> dict[str, str]:
    """:func:`fresh_tags` of a stream: what FFmpeg reads from MP4 as its name is what it writes as its title."""
    fresh = fresh_tags(tags)
    if "name" in fresh:
        fresh = {"title": fresh.pop("name"), **fresh}
    return fresh


def lost_tags(tags: dict[str, str], container_format: str) -> list[str]:
    """Names of a file's tags that come back from no file of this format; MP4's are few. Asked by writing one."""
    wanted = fresh_tags(tags)
    written = io.BytesIO()
    with ffmpeg_messages(None):
        with av.open(written, "w", format=container_format) as trial:
            picture = trial.add_stream("mpeg4", rate=25)
            picture.width, picture.height, picture.pix_fmt = 16, 16, "yuv420p"
            trial.metadata.update(wanted)
            trial.start_encoding()
            trial.mux(picture.encode(av.VideoFrame(16, 16, "yuv420p")))
            trial.mux(picture.encode(None))
        with av.open(io.BytesIO(written.getvalue()), format=container_format) as read:
            kept = {name.lower() for name in read.metadata}
            # A stream of its own in MP4, whose tag it is then.
            kept |= {"timecode" for stream in read.streams if "timecode" in stream.metadata}
    return [name for name in wanted if name.lower() not in kept]
