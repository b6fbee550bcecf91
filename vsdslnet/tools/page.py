"""The page of ``vsdslnet preview``: HTML that needs nothing but itself."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from string import Template

__all__ = ["page", "section"]


def page(*, title: str, settings: str, light: bytes, sections: Sequence[str]) -> str:
    """The whole page; ``light`` is a PNG, ``sections`` come from :func:`section`."""
    return _PAGE.substitute(
        title=html.escape(title),
        settings=html.escape(settings),
        light=_figure("light over time, estimated by 3D LUTs", light),
        sections="\n".join(sections),
    )


def section(
    *,
    frame: int,
    seconds: float,
    light_nits: tuple[float, float],
    before: bytes,
    after: bytes,
    hdr: bytes,
    plots: Mapping[str, bytes],
) -> str:
    """One frame: a slider between two PNGs, the PNG for an HDR screen, and named plots."""
    hours, minutes = int(seconds // 3600), int(seconds // 60 % 60)
    return _SECTION.substitute(
        frame=frame,
        time=f"{hours:02d}:{minutes:02d}:{seconds % 60:06.3f}",
        maximum=f"{light_nits[0]:.0f}",
        average=f"{light_nits[1]:.0f}",
        before=_png(before),
        after=_png(after),
        hdr=_png(hdr),
        plots="\n".join(_figure(name, png) for name, png in plots.items()),
    )


def _png(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def _figure(name: str, png: bytes) -> str:
    caption = html.escape(name)
    return f'<figure><img src="{_png(png)}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'


_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title: before and after</title>
<style>
body { background: #16181b; color: #d8dadd; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 1200px; padding: 0 1rem; }
h1, h2 { font-weight: 500; }
img { max-width: 100%; height: auto; display: block; }
figure { margin: 0; }
figcaption { color: #9aa0a6; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 1rem; }
.compare { position: relative; overflow: hidden; touch-action: none; }
.compare img { width: 100%; }
.before { position: absolute; inset: 0; clip-path: inset(0 calc(100% - var(--at)) 0 0); }
.name { position: absolute; bottom: 0.5rem; padding: 0 0.5rem; background: #16181bb0; border-radius: 3px; }
.before .name { left: 0.5rem; }
.after .name { right: 0.5rem; }
.line { position: absolute; inset: 0 auto 0 var(--at); width: 2px; background: #fff; }
input[type=range] { width: 100%; margin: 0.5rem 0; }
</style>
</head>
<body>
<h1>$title</h1>
<p>$settings</p>
$light
$sections
<script>
for (const section of document.querySelectorAll("section")) {
  const compare = section.querySelector(".compare");
  const slider = section.querySelector("input");
  const show = () => compare.style.setProperty("--at", slider.value + "%");
  slider.addEventListener("input", show);
  compare.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    const box = compare.getBoundingClientRect();
    slider.value = (100 * (event.clientX - box.left)) / box.width;
    show();
  });
  show();
}
</script>
</body>
</html>
""")

_SECTION = Template("""<section id="frame-$frame">
<h2>Frame $frame, $time: brightest $maximum nits, average $average nits</h2>
<div class="compare">
<div class="after"><img src="$after" alt="after, tone-mapped for an SDR screen" draggable="false">
<span class="name">after, tone-mapped for an SDR screen</span></div>
<div class="before"><img src="$before" alt="before" draggable="false"><span class="name">before</span></div>
<div class="line"></div>
</div>
<input type="range" min="0" max="100" value="50" aria-label="before and after">
<details><summary>after, for an HDR screen (16-bit PQ)</summary><img src="$hdr" alt="after, PQ"></details>
<div class="plots">$plots</div>
</section>""")
