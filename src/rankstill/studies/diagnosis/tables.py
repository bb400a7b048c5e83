"""The terminal's tables of a diagnosis and of an explanation; nothing is wider than 100 columns."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rankstill.files import Json
from rankstill.studies.diagnosis.names import shortened
from rankstill.studies.rows import interval as ends
from rankstill.studies.rows import number, plain, short, signed

WIDTH = 100
_NAME = 22


def print_diagnosis(found: Json, console: Console) -> None:
    """Print a diagnosis: what each strategy is like, its bound, what tells them apart, and the advice."""
    found = shortened(found)
    console = _wide(console)
    budget = f"{found['budget']['amount']:,.10g} {found['budget']['unit']}"
    console.print(Text(f"Before training, on {found['queries']:,} of {found['of']:,} training queries", style="bold"))
    console.print(_strategies(found), width=WIDTH, markup=False)
    console.print(Text(f"\nThe four-term bound at a budget of {budget}, nats", style="bold"))
    console.print(_bounds(found), width=WIDTH, markup=False)
    for line in _remarks(found):
        console.print(Text(line, style="dim"), width=WIDTH)
    console.print(Text("\nAdvice", style="bold"))
    console.print(Text(found["advice"]), width=WIDTH)


def _wide(console: Console) -> Console:
    """Take another console where there is a pipe, which has no width of its own."""
    return console if console.is_terminal else Console(stderr=True, width=WIDTH, emoji=False)


def _table(*heads: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i else "left", overflow="fold", no_wrap=bool(i))
    return table


def _strategies(found: Json) -> Table:
    table = _table("strategy", "diameter", "entropy", "W1 (null)", "suspected", "unseen lists", "calls")
    for s in found["strategies"]:
        shift, fn, target, cost = s["shift"]["embeddings"], s["false_negatives"], s["probe"]["target"], s["cost"]
        table.add_row(
            plain(s["name"], _NAME),
            number(s["diameter"]["mean"], 2),
            number(s["entropy"]["mean"], 2),
            f"{number(shift['value']['mean'], 2)} ({number(shift['null']['mean'], 2)})",
            f"{100 * fn['share']['mean']:.1f}%" if fn else "–",
            f"{number(target['mean'])}, {ends(target['low'], target['high'])}" if target else "–",
            short(cost["calls"]),
        )
    return table


def _bounds(found: Json) -> Table:
    table = _table("strategy", "groups", "fit", "locality", "shift", "floor", "kappa", "says something")
    for s in found["strategies"]:
        score, kappa = s["score"], s["kappa"]
        needed = score["groups_needed"]
        says = f"no; from {needed:,} on" if needed else "no, never"
        table.add_row(
            plain(s["name"], _NAME),
            f"{score['groups']:,}",
            *(short(score[term]) for term in ("fit", "locality", "shift", "floor")),
            _kappa(kappa),
            says if score["vacuous"] else f"yes: {score['total']:.3f} < {score['room']:.3f}",
        )
    return table


def _kappa(kappa: Json | None) -> str:
    if kappa is None:
        return "unknown"
    return "∞" if kappa["largest"] is None else short(kappa["largest"])


def _remarks(found: Json) -> list[str]:
    """List comparisons, crossovers, mixtures, sizes and temperatures, a line each."""
    lines = []
    for c in found["comparisons"]:
        d = c["difference"]
        told = "told apart" if c["told_apart"] else "not told apart"
        told += ", too little to pay for" if c["told_apart"] and c["as_good"] else ""
        needed = f"{c['queries_needed']:,} queries show it" if c["queries_needed"] else "no number of queries shows it"
        seeds = f", {c['seeds_needed']:,} trainings of each" if c["seeds_needed"] else ""
        lines.append(
            f"{c['name']} − {c['against']}: {signed(d['mean'])} ({ends(d['low'], d['high'])}), {told}; {needed}{seeds}"
        )
    for x in found["crossovers"]:
        at = ", ".join(short(b) for b in x["budgets"])
        if at:
            lines.append(
                f"{x['first']} and {x['second']} change places at {at} {found['budget']['unit']} (by the bound)"
            )
    helping = [m for m in found["mixtures"] if m["helps"]]
    lines += [f"mixture: {m['best']:.0%} {m['second']} in {m['first']} has a smaller bound" for m in helping]
    if found["mixtures"] and not helping:
        lines.append("no mixture of two of these has a smaller bound than the better of them")
    for s in found["strategies"]:
        lines += _settings(s)
    return lines


def _settings(s: dict[str, Any]) -> list[str]:
    said = []
    if s["group_size"]:
        said.append(f"groups of {s['group_size']['size']} make the most of its seconds")
    t = s["temperature_advice"]
    if t is not None and not t["edge"]:
        said.append(f"temperature {t['temperature']:.3g} fits judgements best (entropy {number(t['entropy'], 2)})")
    return [f"{s['name']}: {'; '.join(said)}"] if said else []


def print_explanation(found: Json, console: Console) -> None:
    """Print an explanation: fidelity place by place, and what it says in words."""
    table = _table("where", "groups", "excess, nats", "bound", "tau", "same first", "sure but inverted")
    console = _wide(console)
    for p in found["places"]:
        bound = p.get("bound")
        tau = p.get("tau")
        table.add_row(
            plain(p["where"], 34),
            f"{p['groups']:,}",
            f"{number(p['excess']['mean'])} {ends(p['excess']['low'], p['excess']['high'])}",
            f"{number(bound['value'], 2)}{' (vacuous)' if bound['vacuous'] else ''}" if bound else "–",
            number(tau["mean"], 2) if tau else "–",
            f"{100 * p['first']['mean']:.0f}%",
            f"{100 * p['inversions'][1]['share']:.2f}%",
        )
    console.print(table, width=WIDTH, markup=False)
    for row in found["predicted"]:
        line = f"{row['what']}: predicted {number(row['predicted'])}, actual {number(row['actual'])}"
        console.print(Text(line, style="dim"), width=WIDTH)
    for sentence in found["words"]:
        console.print(Text(sentence), width=WIDTH)
