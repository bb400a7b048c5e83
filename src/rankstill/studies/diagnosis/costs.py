"""What a strategy's groups cost: seconds of drawing, calls of the teacher and their seconds, money."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankstill.errors import SpecError
from rankstill.files import COST, read_manifest
from rankstill.groups.build import GROUPS
from rankstill.records import Groups, Pairs
from rankstill.studies.diagnosis.spec import Unit
from rankstill.studies.steps import Negatives


@dataclass(frozen=True)
class Cost:
    """The cost of one group, as seen on the queries diagnosed.

    Attributes:
        calls: Pairs that the teacher has to score, the wider list included.
        drawing: Seconds of drawing, without the teacher; an index that is made on the way counts as part of it.
        call: Seconds of a call; None where no call was made (all scores were in a store, or in a file).
        price: Money for a call; None where it does not matter.
        once: Seconds that are spent once whatever the number of groups: encoding the whole collection.
    """

    calls: float
    drawing: float
    call: float | None
    price: float | None
    once: float

    @property
    def seconds(self) -> float:
        """Of a group: drawing and scoring."""
        return self.drawing + self.calls * (self.call or 0.0)

    @property
    def money(self) -> float | None:
        """Of a group."""
        return None if self.price is None else self.calls * self.price

    def per_group(self, unit: Unit) -> float:
        """In the unit of a budget; never 0, since nothing is drawn for nothing.

        Raises:
            SpecError: The budget is in money, and a call has no price; or in seconds, and no call was timed.
        """
        if unit == "groups":
            return 1.0
        if unit == "seconds" and self.call is None:
            raise SpecError(
                "a budget of seconds needs a teacher's call that was timed, and all scores were known already",
                hint="give the budget in calls or groups, or diagnose into a new folder",
            )
        cost = {"calls": self.calls, "seconds": self.seconds, "money": self.money}[unit]
        if cost is None:
            raise SpecError("a budget of money needs the price of a teacher's call", hint="--price 0.0002")
        return max(cost, 1e-9)

    def to_json(self) -> dict[str, Any]:
        """Give all of it."""
        return {
            "calls": self.calls,
            "seconds": self.seconds,
            "drawing_seconds": self.drawing,
            "call_seconds": self.call,
            "money": self.money,
            "once_seconds": self.once,
        }


def cost_of(made: Negatives, call: float | None, price: float | None) -> Cost:
    """Read what a strategy's stages took.

    Args:
        made: Its folders.
        call: Seconds of a call; see `call_seconds`.
        price: Money for a call.
    """
    groups = max(len(Groups.read(made.groups / GROUPS)), 1)
    # What `draw` made for the candidates stands beside them.
    stages = [p.parent for p in sorted(made.candidates.parent.glob(f"{made.candidates.name}*/{COST}"))]
    once = sum(_seconds(stage) for stage in stages if _is_whole(stage))
    drawing = sum(_seconds(s) for s in stages if not _is_score(s) and not _is_whole(s))
    return Cost(len(paid_pairs(made.paid())) / groups, drawing / groups, call, price, once)


def paid_pairs(folders: Iterable[Path]) -> NDArray[np.uint64]:
    """Number the distinct pairs of some stages of scoring."""
    return np.unique(np.concatenate([Pairs.read(folder / "scores.parquet").key() for folder in folders]))


def call_seconds(folders: Iterable[Path]) -> float | None:
    """Average the seconds of a call over stages of scoring; None where none made a call."""
    costs = [json.loads((folder / COST).read_text("utf-8")) for folder in folders]
    made = [cost for cost in costs if cost.get("scored")]
    calls = sum(cost["scored"] for cost in made)
    return sum(cost["seconds"] for cost in made) / calls if calls else None


def _is_score(folder: Path) -> bool:
    return bool(read_manifest(folder)["stage"] == "score")


def _is_whole(folder: Path) -> bool:
    """Tell whether all documents of a collection were encoded there, however many queries there are."""
    manifest = read_manifest(folder)
    return bool(manifest["stage"] == "encode" and manifest["inputs"]["rows"] == "all")


def _seconds(folder: Path) -> float:
    return float(json.loads((folder / COST).read_text("utf-8"))["seconds"])
