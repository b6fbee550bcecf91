#!/usr/bin/env bash
# ffmpeg -ss 1.4 -i full.mp4 -t 1.5 -c copy trimmed.mp4 keeps the packets from the keyframe before 1.4 s on and hides them with an
# edit list: 1.6 s are shown and heard. ffmpeg -i trimmed.mp4 -c copy out.mkv, for which nothing was trimmed, shows 3: what the
# demuxer marks as hidden (AV_PKT_FLAG_DISCARD) is copied all the same, Matroska has no edit lists, and nothing warns. The
# sound's hidden second comes back as well with 7.0; 9 makes it a delay of the codec (CodecDelay), which players leave out.
#
# Seen with FFmpeg 9.0.2 (imageio-ffmpeg 0.8.1) and 7.0.2 (0.6.0). Needs python3.12 and pip; fails when the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.12 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==19.0.2
"$work/venv/bin/pip" install --quiet --no-deps --target "$work/9" imageio-ffmpeg==0.8.1
"$work/venv/bin/pip" install --quiet --no-deps --target "$work/7" imageio-ffmpeg==0.6.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import subprocess
from pathlib import Path

import av


def shown(path, kind):
    """Frames that come out of the decoder, and the seconds from the first to the last."""
    with av.open(path) as container:
        times = [float(frame.pts * frame.time_base) for frame in container.decode(**{kind: 0})]
    return len(times), round(times[-1] - times[0], 1)


for version in ("9", "7"):
    [program] = Path(version, "imageio_ffmpeg", "binaries").glob("ffmpeg-*")
    ffmpeg = [program, "-v", "error", "-y"]
    test = ["-f", "lavfi", "-i", "testsrc2=s=128x96:r=30:d=4", "-f", "lavfi", "-i", "sine=d=4:r=48000"]
    codecs = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "60", "-bf", "0", "-c:a", "aac"]
    subprocess.run([*ffmpeg, *test, *codecs, "full.mp4"], check=True)
    subprocess.run([*ffmpeg, "-ss", "1.4", "-i", "full.mp4", "-t", "1.5", "-c", "copy", "trimmed.mp4"], check=True)
    for output in ("again.mp4", "out.mkv"):
        done = subprocess.run([*ffmpeg, "-i", "trimmed.mp4", "-c", "copy", output], capture_output=True, check=True)
        assert not done.stderr
    found = {
        path: (shown(path, "video"), shown(path, "audio")) for path in ("full.mp4", "trimmed.mp4", "again.mp4", "out.mkv")
    }
    for path, (picture, sound) in found.items():
        print(f"FFmpeg {version}, {path}: picture {picture}, sound {sound} (frames, seconds from the first to the last)")
    hidden = found["out.mkv"][0][0] - found["trimmed.mp4"][0][0]
    print(f"FFmpeg {version}: {hidden} hidden pictures are shown in Matroska")
    assert found["trimmed.mp4"][0][1] == 1.5
    assert hidden > 30
    assert found["out.mkv"][1] == (found["trimmed.mp4"][1] if version == "9" else (118, 2.5))
PYTHON
