"""From a matplotlib figure to a small inline SVG that follows the page's colours, and the colours themselves.

Figures are drawn with stand-in colours (`ink`, `strategy(0)`, ...) which become CSS variables, so one drawing serves
light, dark and paper. One unit of a drawing is one CSS pixel. Text stays text, in the page's font.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from rankstill.studies.rows import plain

LIGHT = {
    "paper": "#faf8f3", "card": "#ffffff", "ink": "#1b2026", "muted": "#565f69", "line": "#dcd7cb",
    "accent": "#0b5394", "good": "#0a6b45", "bad": "#b3261e", "warn": "#fdf3d8",
    "s0": "#004288", "s1": "#a33700", "s2": "#008860", "s3": "#b44489",
    "s4": "#0e9bde", "s5": "#9b8500", "s6": "#5d4428", "s7": "#e039ba",
}  # fmt: skip
DARK = {
    "paper": "#121518", "card": "#1c2126", "ink": "#e9ecef", "muted": "#a9b3bd", "line": "#39424b",
    "accent": "#7fbdf5", "good": "#5fd6a2", "bad": "#ff9a90", "warn": "#3a3118",
    "s0": "#5aa9f0", "s1": "#ff8b4a", "s2": "#5ae78d", "s3": "#e28bc0",
    "s4": "#9be3f7", "s5": "#fbcd4a", "s6": "#d8c8b6", "s7": "#ec616c",
}  # fmt: skip
"""Text reaches a contrast of 4.5, marks of 3; the strategies' colours stay apart for all kinds of colour blindness."""

STRATEGY_COLOURS = 8
HALO = "halo"
"""The gid of text that needs a rim in the card's colour because it may stand on lines or points."""
_STAND_INS = {f"#0101{i:02x}": name for i, name in enumerate(LIGHT)}
_COLOURS = {name: code for code, name in _STAND_INS.items()}
_STYLE: Mapping[str, object] = {
    "svg.fonttype": "none", "svg.hashsalt": "rankstill", "text.parse_math": False, "axes.unicode_minus": True,
    "font.family": "DejaVu Sans", "font.size": 12, "xtick.labelsize": 11, "ytick.labelsize": 11,
    "axes.edgecolor": _COLOURS["muted"], "axes.labelcolor": _COLOURS["muted"], "axes.linewidth": 0.8,
    "text.color": _COLOURS["ink"], "xtick.color": _COLOURS["muted"], "ytick.color": _COLOURS["muted"],
    "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "xtick.major.size": 3, "ytick.major.size": 0, "grid.color": _COLOURS["line"], "grid.linewidth": 0.8,
    "lines.solid_capstyle": "round", "axes.facecolor": "none",
}  # fmt: skip
_PX = 1 / 72  # matplotlib counts in inches of 72 points; we let a point be a CSS pixel
_NUMBER = re.compile(r"-?\d+\.\d+")
_CODE = re.compile("|".join(_STAND_INS))
_USED = re.compile(r"#([\w.-]+)")


def colour(name: str) -> str:
    """Return the stand-in for one of the page's colours, to be given to matplotlib.

    Args:
        name: A key of LIGHT.
    """
    return _COLOURS[name]


def strategy_colour(place: int) -> str:
    """Name the colour of the strategy at this place; after eight they repeat, and the labels tell them apart."""
    return f"s{place % STRATEGY_COLOURS}"


def draw(name: str, alt: str, width: int, height: int, paint: Callable[[Figure], None]) -> str:
    """Draw one figure as inline SVG; the same call gives the same text.

    Args:
        name: Prefix of the ids inside; unique in the page.
        alt: What the figure shows, for those who do not see it.
        width: In CSS pixels at natural size; the page may scale it.
        height: Likewise.
        paint: Puts the artists into an empty figure.
    """
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the browser has the glyph
        mpl.rcdefaults()  # whatever the user's matplotlibrc says
        mpl.rcParams.update(_STYLE)  # type: ignore[arg-type]
        figure = Figure(figsize=(width * _PX, height * _PX))
        FigureCanvasSVG(figure)
        paint(figure)
        file = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    return _tidy(file.getvalue(), plain(name), plain(alt, 2000), width, height)


def _tidy(text: str, name: str, alt: str, width: int, height: int) -> str:
    """Drop what an inline SVG does not need, and what would leak into the page (styles, ids)."""
    drawn = ElementTree.fromstring(text)  # our own output of a moment ago
    root = ElementTree.Element("svg", {"viewBox": f"0 0 {width} {height}", "role": "img", "aria-label": alt})
    root.extend(list(drawn))
    used = {target for node in root.iter() for value in node.attrib.values() for target in _USED.findall(value)}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith("}style") or (child.tag.endswith("}path") and _is_blank(child)):
                parent.remove(child)
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
        node.tail = None
        if node.tag != "text":
            node.text = None
        node.attrib = {k: v for key, value in node.attrib.items() for k, v in _attribute(key, value, name, used)}
    return ElementTree.tostring(root, encoding="unicode")


def _is_blank(path: ElementTree.Element) -> bool:
    return path.get("style", "").strip().rstrip(";") == "fill: none"


def _attribute(key: str, value: str, name: str, used: set[str]) -> list[tuple[str, str]]:
    """Rewrite one attribute: keep it, change it, or leave it out."""
    key = key.rpartition("}")[2]
    if key == "id":
        if value == HALO:
            return [("class", HALO)]
        return [("id", f"{name}-{value}")] if value in used else []
    if key == "transform" and value.startswith("rotate(-0 "):
        return []
    if key == "href":
        return [(key, f"#{name}-{value[1:]}")]
    if key == "clip-path":
        return [(key, value.replace("url(#", f"url(#{name}-"))]
    if key == "style":
        value = re.sub(r"font-family: [^;]*", "font-family: var(--sans, sans-serif)", value)
        return [(key, _CODE.sub(lambda m: f"var(--{_STAND_INS[m[0]]})", value).replace(": ", ":").replace("; ", ";"))]
    if key in ("d", "x", "y", "width", "height", "transform"):
        return [(key, " ".join(_NUMBER.sub(lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), value).split()))]
    return [(key, value)]
