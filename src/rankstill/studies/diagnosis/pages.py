"""The pages `diagnosis.html` and `explanation.html`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rankstill.files import Json
from rankstill.studies.diagnosis import figures
from rankstill.studies.diagnosis.names import shortened
from rankstill.studies.figures import Picture
from rankstill.studies.page import Cell, Head, Page, Table, write_page
from rankstill.studies.rows import interval as ends
from rankstill.studies.rows import number, short, signed

Entry = dict[str, Any]


def write_diagnosis(found: Json, out: Path) -> Path:
    """Write a diagnosis as a page.

    Args:
        found: What `diagnosis.json` holds.
        out: The file.
    """
    found = shortened(found)
    strategies = found["strategies"]
    budget = f"{found['budget']['amount']:,.10g} {found['budget']['unit']}"
    pictures = _drawn(figures.plane(found), figures.terms(found), figures.excess(found))
    tables = [_strategies(found), _bounds(found), _choices(found)]
    page = Page(
        title=found["title"],
        subtitle=f"Before training: teacher {found['teacher']}, {len(strategies)} strategies, a budget of {budget}",
        reached=[
            (f"{found['queries']:,}", f"of {found['of']:,} training queries diagnosed"),
            (f"{found['pairs']['scored']:,}", f"pairs scored of {found['pairs']['asked']:,} asked"),
            (f"{found['target']['depth']}", f"documents a list to rerank ({found['target']['origin']})"),
        ],
        lead="Advice",
        verdict=[found["advice"]],
        pictures=pictures,
        tables=[table for table in tables if table is not None],
        command=found["command"],
        facts={"spec": found["spec"], "temperature": found["temperature"], "hardware": found["hardware"]}
        | found["versions"],
    )
    return write_page(page, out)


def write_explanation(found: Json, out: Path) -> Path:
    """Write an explanation as a page.

    Args:
        found: What `explanation.json` holds.
        out: The file.
    """
    pictures = _drawn(figures.places(found), figures.agreement(found), figures.inverted(found), figures.curve(found))
    student = found["student"]
    page = Page(
        title=f"Why this student is as it is: {student['architecture']}, {found['strategy']}, {found['loss']}",
        subtitle=f"Teacher {found['teacher']}, temperature {found['temperature']:.4g}",
        reached=[(number(g["mean"]), f"{g['name']}: {g['what']}") for g in found["gaps"]],
        lead="In words",
        verdict=found["words"],
        pictures=pictures,
        tables=[_places(found), *_predicted(found)],
        facts={"model": found["model"], "student": student} | found["versions"],
    )
    return write_page(page, out)


def _drawn(*pictures: Picture | None) -> list[Picture]:
    return [picture for picture in pictures if picture is not None]


def _with_ends(value: Json | None, digits: int = 3, scale: float = 1.0) -> Cell:
    """Print an interval."""
    if value is None:
        return Cell("–")
    low, high = (None if value[end] is None else value[end] * scale for end in ("low", "high"))
    return Cell(number(value["mean"] * scale, digits), ends(low, high, digits))


def _strategies(found: Json) -> Table:
    rows = []
    for s in found["strategies"]:
        cost, shift, fn = s["cost"], s["shift"], s["false_negatives"]
        null = shift["embeddings"]["null"]
        rows.append(
            (
                Cell(s["name"], f"{s['groups']:,} groups of {s['size']}"),
                _with_ends(s["diameter"], 2),
                _with_ends(s["entropy"], 2),
                Cell(number(shift["embeddings"]["value"]["mean"], 2), f"two target samples: {number(null['mean'], 2)}"),
                _kappa(s.get("kappa")),
                _with_ends(fn and fn["share"], 1, 100.0),
                _with_ends(s["probe"]["target"]),
                Cell(short(cost["calls"]), _seconds(cost)),
            )
        )
    heads = (
        Head("Strategy"),
        Head("Diameter", "rms distance in a group; small is local"),
        Head("Entropy", "the teacher's doubt; 0 sure, 1 none"),
        Head("Shift", "W1 to the lists to rerank, embeddings"),
        Head("Kappa", "largest ratio of target to sampled"),
        Head("Suspected", "% of negatives at or above a positive"),
        Head("Would learn", "excess of a linear head on unseen lists, nats"),
        Head("Calls", "of the teacher, a group"),
    )
    return Table("Strategies", "What each strategy's data is like, and what it costs", heads, tuple(rows))


def _kappa(kappa: Json | None) -> Cell:
    if kappa is None:
        return Cell("unknown", "the strategy cannot say")
    if kappa["largest"] is None:
        return Cell("∞", f"for {100 * kappa['infinite_share']:.0f}% of queries")
    return Cell(short(kappa["largest"]))


def _seconds(cost: Json) -> str:
    said = f"{cost['seconds']:.2g} s" if cost["call_seconds"] else "no call was timed"
    if cost["once_seconds"] > 1:
        said += f", {cost['once_seconds']:.0f} s once"
    return said if cost["money"] is None else f"{said}, {cost['money']:.3g} money"


def _bounds(found: Json) -> Table:
    """List the bounds, each with its terms, whether it is vacuous, and what it assumes."""
    rows = []
    for s in found["strategies"]:
        score, bound = s["score"], s["bound"]
        needed = score["groups_needed"]
        rows.append(
            (
                Cell(s["name"], f"at {score['groups']:,} groups"),
                Cell(f"{score['radius']:g}"),
                *(Cell(number(score[term])) for term in ("fit", "locality", "shift", "floor")),
                Cell(
                    "vacuous" if score["vacuous"] else f"{score['total']:.3f} < {score['room']:.3f}",
                    f"from {needed:,} groups on" if needed else "at any number of groups",
                ),
                Cell(short(bound["value"]) if bound["value"] is not None else "∞", _certain(bound)),
            )
        )
    heads = (
        Head("Strategy"),
        Head("Radius", "largest margin per distance"),
        Head("Fit", "not learnt of the groups"),
        Head("Locality", "not pinned down by so many"),
        Head("Shift", "from what is sampled to what is ranked"),
        Head("Floor", "the teacher's own doubt"),
        Head("Says something", "fit, locality and shift below log 2 less the floor"),
        Head("Proven", "from the groups diagnosed"),
    )
    caption = f"The four-term bound, nats [theory 4.6]. {_assumed([s['bound'] for s in found['strategies']])}"
    return Table("Bounds", caption, heads, tuple(rows))


def _assumed(bounds: list[Json]) -> str:
    """Say what all of some bounds assume, and what only some of them do."""
    every = dict.fromkeys(a for bound in bounds for a in bound["assumptions"])
    common = [a for a in every if all(a in bound["assumptions"] for bound in bounds)]
    some = [a for a in every if a not in common]
    said = f"Each of them assumes: {'; '.join(common)}."
    return f"{said} Some assume: {'; '.join(some)}." if some else said


def _certain(bound: Json) -> str:
    return f"{'vacuous' if bound['vacuous'] else 'says something'}, p {bound['confidence']:.3g}"


def _choices(found: Json) -> Table | None:
    rows: list[tuple[Cell, ...]] = []
    for c in found["comparisons"]:
        queries, seeds = c["queries_needed"], c["seeds_needed"]
        told = "told apart" if c["told_apart"] else "not told apart"
        told += ", too little to pay for" if c["told_apart"] and c["as_good"] else ""
        needs = f"{queries:,} queries" if queries else "no number of queries"
        trainings = f"{seeds:,} trainings of each" if seeds else "no number of trainings"
        text = f"{signed(c['difference']['mean'])} nats"
        small = f"{ends(c['difference']['low'], c['difference']['high'])}; {told}; {needs}, {trainings} show such a gap"
        rows.append((Cell(f"{c['name']} against {c['against']}"), Cell(text, small)))
    for x in found["crossovers"]:
        at = ", ".join(f"{short(b)} {found['budget']['unit']}" for b in x["budgets"])
        who = " → ".join(w or "equal" for w in x["winners"])
        rows.append((Cell(f"crossover of {x['first']} and {x['second']}"), Cell(at or "none", f"by the bound: {who}")))
    for m in found["mixtures"]:
        text = f"{m['best']:.0%} of the second is best" if m["helps"] else "does not help"
        totals = ", ".join(f"{share:.0%}: {short(total)}" for share, total in zip(m["shares"], m["total"], strict=True))
        rows.append((Cell(f"mixture of {m['first']} and {m['second']}"), Cell(text, totals)))
    for s in found["strategies"]:
        rows += _sizes(s)
    if not rows:
        return None
    heads = (Head("Question"), Head("Answer"))
    caption = "What would tell strategies apart, where they change places, and how to set groups and temperature"
    return Table("Choices", caption, heads, tuple(rows))


def _sizes(s: Entry) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    if s["group_size"]:
        rows.append((Cell(f"group size for {s['name']}"), Cell(str(s["group_size"]["size"]), "for its seconds [8.6]")))
    t = s["temperature_advice"]
    if t is not None:
        text = "no minimum" if t["edge"] else f"{t['temperature']:.4g}"
        small = (
            f"the {t['edge']} temperature tried fits judgements best: they and the teacher's order agree on these pairs"
            if t["edge"]
            else f"fits judgements best; entropy there {number(t['entropy'], 2)} [8.4]"
        )
        rows.append((Cell(f"temperature for {s['name']}"), Cell(text, small)))
    return rows


def _places(found: Json) -> Table:
    rows = []
    for p in found["places"]:
        bound = p.get("bound")
        said = Cell(number(bound["value"]), _certain(bound)) if bound else Cell("–")
        rows.append(
            (
                Cell(p["where"], f"{p['groups']:,} groups or lists"),
                _with_ends(p["excess"]),
                _with_ends(p["listwise_excess"]),
                said,
                _with_ends(p["entropy"], 2),
                _with_ends(p["tau"], 2) if "tau" in p else Cell("–"),
                _with_ends(p["first"], 0, 100.0),
                _with_ends(p["top"], 0, 100.0),
            )
        )
    heads = (
        Head("Where"),
        Head("Excess", "pairwise, nats"),
        Head("Listwise excess", "nats"),
        Head("Bound", "by betting [7.2], of min(excess, 1)"),
        Head("Entropy", "the teacher's, 0 to 1"),
        Head("Tau", "Kendall's, with the teacher"),
        Head("Same first", "% of queries"),
        Head("Top 10", "% in common"),
    )
    assumed = "; ".join(next((p["bound"]["assumptions"] for p in found["places"] if p.get("bound")), []))
    caption = f"How faithful the student is, place by place. Bounds assume: {assumed}." if assumed else "Place by place"
    return Table("Places", caption, heads, tuple(rows))


def _predicted(found: Json) -> Iterable[Table]:
    if not found.get("predicted"):
        return
    rows = tuple((Cell(p["what"]), Cell(number(p["predicted"])), Cell(number(p["actual"]))) for p in found["predicted"])
    heads = (Head("What"), Head("Predicted", "by the diagnosis"), Head("Actual"))
    yield Table("Predicted and actual", "What the diagnosis said, and what this student does, nats", heads, rows)
