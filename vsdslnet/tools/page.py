"""The page of ``vsdslnet preview``: HTML that needs nothing but itself."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from string import Template
from typing import NamedTuple

__all__ = ["Shown", "comparison", "page", "section", "table", "versions_section"]


class Shown(NamedTuple):
    """A picture of a versions' section: its name, a PNG for any screen, one for an HDR screen, and named plots."""

    name: str
    png: bytes
    hdr: bytes | None = None
    plots: Mapping[str, bytes] = {}


def page(*, title: str, settings: str, light: bytes, sections: Sequence[str]) -> str:
    """The whole page; ``light`` is a PNG, ``sections`` come from :func:`section`."""
    return _PAGE.substitute(
        title=html.escape(f"{title}: before and after"),
        heading=html.escape(title),
        settings=html.escape(settings),
        light=_figure(_LIGHT_CAPTION, light),
        sections="\n".join(sections),
        script=_SLIDER_SCRIPT,
    )


def comparison(*, title: str, settings: str, light: bytes, table: str, sections: Sequence[str]) -> str:
    """The whole page of several versions; ``table`` is :func:`table`'s, ``sections`` :func:`versions_section`'s."""
    return _PAGE.substitute(
        title=html.escape(f"{title}: versions"),
        heading=html.escape(title),
        settings=html.escape(settings),
        light=f"{table}\n{_figure(_LIGHT_CAPTION, light)}",
        sections="\n".join(sections),
        script=_CHOICE_SCRIPT + _SLIDER_SCRIPT,
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of text; the first column names the rows."""
    cells = ["".join(f"<th>{html.escape(text)}</th>" for text in head)]
    cells += [
        f"<th>{html.escape(row[0])}</th>" + "".join(f"<td>{html.escape(text)}</td>" for text in row[1:]) for row in rows
    ]
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"


def versions_section(*, frame: int, seconds: float, table: str, shown: Sequence[Shown]) -> str:
    """One frame in several versions: a slider between any two of ``shown``, all of them side by side, and their plots.

    The slider begins with the two that stand behind the first, which is the picture before.
    """
    first, second = (1, 2) if len(shown) > 2 else (0, 1)
    figures = []
    for number, each in enumerate(shown):
        more = "".join(_figure(name, png) for name, png in each.plots.items())
        if each.hdr is not None:
            more += _figure(f"{each.name}, for an HDR screen (16-bit PQ)", each.hdr)
        details = f"<details><summary>light and HDR</summary>{more}</details>" if more else ""
        name = html.escape(each.name)
        figures.append(
            f'<figure><img data-version="{number}" src="{_png(each.png)}" alt="{name}">'
            f"<figcaption>{name}</figcaption>{details}</figure>"
        )
    return _VERSIONS.substitute(
        frame=frame,
        time=_time(seconds),
        table=table,
        left=_choice("left", shown, first),
        right=_choice("right", shown, second),
        figures="\n".join(figures),
    )


def _choice(side: str, shown: Sequence[Shown], chosen: int) -> str:
    options = "".join(
        f'<option value="{number}"{" selected" * (number == chosen)}>{html.escape(each.name)}</option>'
        for number, each in enumerate(shown)
    )
    return f'<select class="{side}" aria-label="{side} of the slider">{options}</select>'


def _time(seconds: float) -> str:
    return f"{int(seconds // 3600):02d}:{int(seconds // 60 % 60):02d}:{seconds % 60:06.3f}"


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
    return _SECTION.substitute(
        frame=frame,
        time=_time(seconds),
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


_LIGHT_CAPTION = "light over time, estimated by 3D LUTs"

_SLIDER_SCRIPT = """for (const section of document.querySelectorAll("section")) {
  const compare = section.querySelector(".compare");
  const slider = section.querySelector("input");
  const show = () => compare.style.setProperty("--at", slider.value + "%");
  slider.addEventListener("input", show);
  const follow = (event) => {
    const box = compare.getBoundingClientRect();
    slider.value = (100 * (event.clientX - box.left)) / box.width;
    show();
  };
  compare.addEventListener("pointerdown", (event) => {
    // Followed wherever it goes, so that it reaches the ends.
    const dragged = new AbortController();
    addEventListener("pointermove", follow, dragged);
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => dragged.abort(), dragged);
    follow(event);
  });
  show();
}
"""

_CHOICE_SCRIPT = """for (const section of document.querySelectorAll("section")) {
  for (const side of ["left", "right"]) {
    const choice = section.querySelector("select." + side);
    const place = section.querySelector(side === "left" ? ".before" : ".after");
    const show = () => {
      const version = section.querySelector(`[data-version="${choice.value}"]`);
      place.querySelector("img").src = version.src;
      place.querySelector("img").alt = version.alt;
      place.querySelector(".name").textContent = version.alt;
    };
    choice.addEventListener("change", show);
    show();
  }
}
"""

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
body { background: #16181b; color: #d8dadd; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 1200px; padding: 0 1rem; }
h1, h2 { font-weight: 500; }
img { max-width: 100%; height: auto; display: block; }
figure { margin: 0; }
figcaption { color: #9aa0a6; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 1rem; }
.compare { position: relative; overflow: hidden; touch-action: none; user-select: none; }
.compare img { width: 100%; }
.before { position: absolute; inset: 0; clip-path: inset(0 calc(100% - var(--at)) 0 0); }
.name { position: absolute; bottom: 0.5rem; padding: 0 0.5rem; background: #16181bb0; border-radius: 3px; }
.before .name { left: 0.5rem; }
.after .name { right: 0.5rem; }
.line { position: absolute; inset: 0 auto 0 var(--at); width: 2px; background: #fff; }
input[type=range] { width: 100%; margin: 0.5rem 0; }
table { border-collapse: collapse; margin: 0.5rem 0; }
th, td { padding: 0.1rem 1rem 0.1rem 0; text-align: right; font-weight: 400; }
th:first-child { text-align: left; }
tr:first-child th { color: #9aa0a6; }
.choice { display: flex; justify-content: space-between; }
select { background: #2a2d31; color: inherit; border: 1px solid #555; padding: 0.2rem; font: inherit; }
.versions { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 1rem; }
</style>
</head>
<body>
<h1>$heading</h1>
<p>$settings</p>
$light
$sections
<script>
$script</script>
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

_VERSIONS = Template("""<section id="frame-$frame">
<h2>Frame $frame, $time</h2>
$table
<div class="choice">$left $right</div>
<div class="compare">
<div class="after"><img alt="" draggable="false"><span class="name"></span></div>
<div class="before"><img alt="" draggable="false"><span class="name"></span></div>
<div class="line"></div>
</div>
<input type="range" min="0" max="100" value="50" aria-label="left and right">
<div class="versions">$figures</div>
</section>""")
