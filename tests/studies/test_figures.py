from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from rankstill.studies import figures
from rankstill.studies.figures import Picture
from rankstill.studies.svg import DARK, LIGHT
from tests.studies.example_summary import example, minimal

ALL: list[Callable[[Any], Picture | None]] = [
    lambda s: figures.effectiveness(s, "RR@10"),
    figures.plane,
    figures.distributions,
    figures.learning,
]


def drawn(picture: Picture | None) -> list[ElementTree.Element]:
    assert picture is not None
    return [ElementTree.fromstring(panel.svg) for panel in picture.panels]


def texts(picture: Picture | None) -> list[str]:
    return ["".join(t.itertext()) for root in drawn(picture) for t in root.iter("text")]


@pytest.mark.parametrize("draw", ALL)
def test_the_same_summary_gives_the_same_picture(draw: Callable[[Any], Picture | None]) -> None:
    assert draw(example()) == draw(example())


@pytest.mark.parametrize("draw", ALL)
def test_a_picture_follows_the_page_and_leaks_nothing_into_it(draw: Callable[[Any], Picture | None]) -> None:
    picture = draw(example())
    assert picture is not None
    for panel in picture.panels:
        assert "http" not in panel.svg
        assert "<style" not in panel.svg  # an inline style sheet would rule the whole page
        assert "DejaVu" not in panel.svg
        assert not re.search(r"#0101[0-9a-f]{2}", panel.svg)  # every stand-in colour became a variable
        assert set(re.findall(r"var\(--(\w+)\)", panel.svg)) <= LIGHT.keys()
        root = ElementTree.fromstring(panel.svg)
        assert root.get("role") == "img"
        assert len(root.get("aria-label", "")) > 20


def test_ids_are_unique_over_all_pictures_and_every_reference_is_met() -> None:
    roots = [root for draw in ALL for root in drawn(draw(example()))]
    nodes = [node for root in roots for node in root.iter()]
    ids = [node.get("id") for node in nodes if node.get("id")]
    assert len(ids) == len(set(ids))
    used = {ref for node in nodes for v in node.attrib.values() for ref in re.findall(r"url\(#(.*?)\)|^#(.*)$", v)}
    assert {a or b for a, b in used} == set(ids)


def test_effectiveness_names_every_system_with_its_mean_and_difference() -> None:
    summary = example(2)
    picture = figures.effectiveness(summary, "RR@10")
    assert picture is not None
    assert [p.test for p in picture.panels] == ["pydocs", "pydocs, unseen packages"]
    here = texts(picture)
    for system in summary["systems"]:
        assert here.count(system["name"]) == 2
    assert "0.410" in here  # BM25, which differs from nothing
    assert "0.487  ▲ +0.077" in here
    assert "0.390  ▼ −0.020" in here


def test_the_caption_counts_what_the_figure_shows() -> None:
    summary = example(1)
    for result in summary["results"]:
        result.update(difference=None, difference_low=None, difference_high=None)
    students = [r for r in summary["results"] if r["measure"] == "RR@10" and r["system"].startswith(("bm25", "random"))]
    for result, (low, high) in zip(students, [(0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1), (0.1, 0.2)], strict=False):
        result.update(difference=(low + high) / 2, difference_low=low, difference_high=high)
    caption = figures.effectiveness(summary, "RR@10").caption  # type: ignore[union-attr]
    assert "of 4 comparisons of a student with it, 2 are clearly above (▲) and 1 clearly below (▼)" in caption


def test_judged_is_not_presented_as_better_or_worse() -> None:
    picture = figures.effectiveness(example(), "Judged@10")
    assert not [t for t in texts(picture) if "▲" in t or "▼" in t]
    assert picture is not None
    assert "share of judged documents" in picture.caption


def test_the_plane_names_its_strategies_and_says_where_the_ends_lie() -> None:
    picture = figures.plane(example())
    assert {"random", "bm25", "teacher"} <= set(texts(picture))
    assert picture is not None
    assert "from random to teacher the diameter goes from 1.22 to 0.93" in picture.caption
    assert "from 0.31 to 0.71" in picture.caption


def test_names_on_the_plane_do_not_cover_each_other() -> None:
    summary = example()
    names = [f"strategy{i}" for i in range(3)]
    summary["strategies"] = [
        {"name": name, "diameter": {"mean": 1 + 0.001 * i}, "entropy": {"mean": 0.5}} for i, name in enumerate(names)
    ]
    root = drawn(figures.plane(summary))[0]
    at = [(float(t.get("x", "")), float(t.get("y", ""))) for t in root.iter("text") if t.text in names]
    assert len(at) == 3
    assert all(abs(a[0] - b[0]) > 60 or abs(a[1] - b[1]) > 10 for i, a in enumerate(at) for b in at[:i])


def test_overlap_of_boxes() -> None:
    assert figures._overlap((0, 0, 2, 2), (1, 1, 3, 3)) == 1
    assert figures._overlap((0, 0, 1, 1), (2, 0, 3, 1)) == 0


def test_score_ridges_state_the_share_at_or_above() -> None:
    picture = figures.distributions(example())
    assert [t for t in texts(picture) if "at or above" in t] == [
        "0.4% at or above",
        "7.1% at or above",
        "16.3% at or above",
    ]
    assert picture is not None
    assert "strategy teacher reach highest, 16.3%" in picture.caption


def test_learning_shows_the_excess_only_where_it_says_more_than_the_loss() -> None:
    picture = figures.learning(example())
    assert picture is not None
    assert [p.title for p in picture.panels] == ["LCE: loss", "KL: excess over the floor"]
    assert "lowest over the last tenth: LCE random-lce" in picture.caption


def test_smoothing_keeps_straight_lines_at_the_start_and_constants_everywhere() -> None:
    np.testing.assert_allclose(figures._smooth(np.full(100, 3.0)), 3.0)
    np.testing.assert_allclose(figures._smooth(np.arange(100.0))[:95], np.arange(95.0))
    np.testing.assert_allclose(figures._smooth(np.array([5.0, 1.0])), [5.0, 1.0])


@pytest.mark.parametrize("draw", ALL[1:])
def test_what_was_not_measured_is_not_drawn(draw: Callable[[Any], Picture | None]) -> None:
    assert draw(minimal()) is None


def test_what_is_no_number_is_left_out() -> None:
    summary = example()
    nan = float("nan")
    summary["strategies"][0] |= {"diameter": None, "points": None, "negative_scores": [nan, 0.5, 0.7]}
    summary["strategies"][1] |= {
        "points": [[nan, 0.5], [1.0, 0.5]],
        "positive_scores": [],
        "false_negative_share": None,
    }
    summary["strategies"][2] |= {"diameter": {"mean": 1.0, "low": None, "high": None}}
    summary["curves"][0] |= {"loss": [nan] * 240, "excess": [nan] * 240}
    assert "random" not in texts(figures.plane(summary))
    assert "random" in texts(figures.distributions(summary))
    assert figures.learning(summary) is not None


def test_any_name_can_be_drawn() -> None:
    summary = example()
    for i, name in enumerate(["$x_1$ \\frac{", "<b>&amp;", "日本語 \x00\x1b[0m \ud800", "a" * 200]):
        old = summary["systems"][i]["name"]
        summary["systems"][i]["name"] = name
        for result in summary["results"]:
            result["system"] = name if result["system"] == old else result["system"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        here = texts(figures.effectiveness(summary, "RR@10"))
    assert {"$x_1$ \\frac{", "<b>&amp;", "日本語 [0m"} <= set(here)


# Linear-light matrices of Machado, Oliveira and Fernandes (2009) at full severity.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def linear(code: str) -> Any:
    channels = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(light: Any) -> Any:
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    xyz = np.array(to_xyz) @ light / np.array([0.95047, 1, 1.08883])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    """WCAG 2: relative luminances."""
    low, high = sorted(float(np.dot([0.2126, 0.7152, 0.0722], linear(c))) for c in (one, other))
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_and_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_text_and_marks_stand_out(theme: dict[str, str]) -> None:
    for ground in ("paper", "card"):
        for name in ("ink", "muted", "accent", "good", "bad"):
            assert contrast(theme[name], theme[ground]) >= 4.5, (name, ground)
    assert contrast(theme["ink"], theme["warn"]) >= 4.5
    for i in range(8):
        assert contrast(theme[f"s{i}"], theme["card"]) >= 3, i


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("kind", BLINDNESS)
def test_strategies_stay_apart_for_the_colour_blind(kind: str, theme: dict[str, str]) -> None:
    seen = [lab(np.clip(np.array(BLINDNESS[kind]) @ linear(theme[f"s{i}"]), 0, 1)) for i in range(8)]
    assert min(np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]) > 15  # 2.3 is just noticeable
