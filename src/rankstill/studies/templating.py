"""Templates of pages: the environment that renders them, their style and script, and how values are printed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from rankstill.studies import rows


def environment() -> jinja2.Environment:
    """Make the environment: every value is escaped, and one that is missing is an error."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("rankstill.studies"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(number=rows.number, signed=rows.signed, interval=rows.interval, count=rows.count, facts=facts)
    return made


def packaged(name: str) -> Markup:
    """Read a style or script that comes with rankstill; ours, hence not escaped."""
    return Markup((files("rankstill.studies") / "templates" / name).read_text("utf-8").strip())


def facts(values: Mapping[str, Any] | None, path: str = "") -> list[tuple[str, str]]:
    """Flatten nested settings into names and printable values.

    >>> facts({"student": {"layers": 2}, "scoring_seconds": 148.2})
    [('student, layers', '2'), ('scoring seconds', '148.2 (2 min 28 s)')]
    """
    found = []
    for key, value in (values or {}).items():
        name = f"{path}{str(key).replace('_', ' ')}".removesuffix(" mb")
        if isinstance(value, Mapping):
            found += facts(value, f"{name}, ")
        else:
            found.append((name, _fact(str(key), value)))
    return found


def _fact(key: str, value: Any) -> str:
    if key.endswith("_mb") and rows.is_number(value):
        return f"{value:,.0f} MB"
    if isinstance(value, list | tuple):
        return ", ".join(_fact("", item) for item in value) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if rows.is_number(value):
        text = f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1e6 else f"{value:,.6g}"
        minutes, seconds = divmod(round(value), 60)
        return f"{text} ({minutes} min {seconds} s)" if key.endswith("seconds") and value >= 100 else text
    return str(value)
