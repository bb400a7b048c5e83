"""Strategies that are made of other strategies: opening the parts, writing them in one way, joining their needs."""

from __future__ import annotations

from rankstill.candidates.references import parts_of
from rankstill.candidates.strategy import Needs, Strategy
from rankstill.candidates.writing import write_parts
from rankstill.errors import SpecError

Parts = list[tuple[Strategy, float]]


def opened(reference: str) -> Strategy:
    """Make the strategy that a part's reference names.

    Raises:
        SpecError: It edits texts: others would look for those in the collection.
    """
    # At the call: the registry imports every strategy, and so this module.
    from rankstill.candidates import open_strategy

    made = open_strategy(reference)
    if made.edits:
        raise SpecError(
            f"the strategy {made} is no part of another: the texts that it edits are not in the collection",
            hint=f"let it edit what the other draws: {made.name}#of=...",
        )
    return made


def write_in_one_way(strategy: Strategy, *, compound: bool) -> None:
    """Bring a strategy's option `of` into the one form that equal references share, so that they are equal.

    Args:
        strategy: Changed in place, while it is being made.
        compound: Whether `of` names parts with weights, or one strategy.

    Raises:
        SpecError: A part is no strategy, or comes twice.
    """
    of: str = strategy.of  # type: ignore[attr-defined]
    text = write_parts((str(part), weight) for part, weight in open_parts(of)) if compound else str(opened(of))
    object.__setattr__(strategy, "of", text)


def open_parts(text: str) -> Parts:
    """Make the parts with their weights.

    Raises:
        SpecError: There are fewer than two, a part is no strategy, a weight is not above 0, or a part comes twice.
    """
    parts = [(opened(part), weight) for part, weight in parts_of(text)]
    names = [str(part) for part, _ in parts]
    if twice := [name for name in names if names.count(name) > 1]:
        raise SpecError(f"the part {twice[0]} comes twice in {text!r}", hint="give it one larger weight")
    return parts


def joint(parts: list[Strategy]) -> Needs:
    """Join the needs of several strategies.

    Raises:
        SpecError: They need different wider lists or models.
    """
    needs = [part.needs() for part in parts]
    wider, models = ({getattr(n, what) for n in needs} - {""} for what in ("wider", "model"))
    for what, found in (("wider lists", wider), ("models", models)):
        if len(found) > 1:
            raise SpecError(f"the parts of one strategy need different {what}: {', '.join(sorted(found))}")
    return Needs("".join(wider), max(n.depth for n in needs), "".join(models), any(n.whole for n in needs))
