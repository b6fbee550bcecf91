"""Text subtitles from one container's codec to another's: what is said, when, and as far as both know it how."""

from __future__ import annotations

from typing import Any

import av

__all__ = ["TextConverter", "add_text_stream"]

# What FFmpeg gives subtitles that have no style of their own (ff_ass_subtitle_header_default): encoders of text read
# styles from a header of this kind, and refuse to open without one.
_PLAIN_HEADER = b"""[Script Info]
ScriptType: v4.00+
PlayResX: 384
PlayResY: 288
ScaledBorderAndShadow: yes

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
# FFmpeg's names of ASS; its header is what such a stream begins with.
_ASS = ("ass", "ssa")


def add_text_stream(output: Any, source_stream: Any, codec: str) -> Any:
    """A stream of ``output`` for the text of ``source_stream``, written with ``codec``."""
    stream = output.add_stream(codec)
    context = source_stream.codec_context
    own = context.extradata if context.name in _ASS else None
    stream.codec_context.subtitle_header = own or _PLAIN_HEADER
    return stream


class TextConverter:
    """Writes the packets of a text stream anew. ``unread`` counts those that can't be read."""

    def __init__(self, source_stream: Any, target_stream: Any) -> None:
        self._from, self._to = source_stream, target_stream
        self.unread = 0

    def packet(self, packet: Any) -> Any | None:
        """A packet with the same times for the target, or None: MP4 fills gaps with empty packets."""
        try:
            said = self._from.decode2(packet)
            if said is None or not len(said):
                return None
            written = self._to.codec_context.encode_subtitle(said)
        except (av.FFmpegError, ValueError):
            self.unread += 1
            return None
        written.stream, written.time_base = self._to, packet.time_base
        written.pts = packet.pts if packet.pts is not None else packet.dts
        written.dts, written.duration = written.pts, packet.duration
        return written
