"""Theorem 3: how far a linear head's risk can be from what it was in training, for all heads up to a norm at once.

f(q, x) = <w, φ(q, x)>, |w| <= L, with φ fixed before the groups are seen: frozen features, a last layer, or a bilinear
head. Two forms: from population moments (`uniform_bound`), and from the groups alone (`empirical_bound`), which pays
for estimating the moments. Each for the excess risk K (soft labels) or the risk R.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal

from rankstill.errors import SpecError
from rankstill.measures.bounds.bound import Bound
from rankstill.measures.bounds.group_statistics import GroupStatistics
from rankstill.measures.bounds.group_terms import Head, LabelKind, PerGroup, check_kind, ranges
from rankstill.measures.bounds.held_out import bernstein_upper, deviation_upper
from rankstill.measures.bounds.pair_loss import log_one_plus_exp
from rankstill.measures.checks import check_between, check_count, check_entropy, check_not_negative, check_positive

Form = Literal["excess", "risk"]
EVENTS = 7
"""[3.2e] is a union bound over six moments and the deviation itself."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Population moments of the groups' law, for one `Head`.

    Attributes:
        signed: S, the trace of the covariance of s(G); or E|s(G)|², which is no smaller.
        saturating: E mean_p tanh²(L d/2τ) d².
        fourth: E mean_p d⁴.
        excess: E m(G)².
        swing: E D(G)².
        entropy_spread: Standard deviation over groups of the label entropy; only the excess needs it.
    """

    signed: float
    saturating: float
    fourth: float
    excess: float
    swing: float
    entropy_spread: float = 0.0

    def __post_init__(self) -> None:
        check_not_negative(**asdict(self))

    @classmethod
    def of(cls, groups: PerGroup) -> Moments:
        """Take equally likely groups as the whole population, with E|s|² for S."""
        signed, saturating, fourth, excess, swing, _ = map(float, groups.columns().mean(axis=0))
        return cls(signed, saturating, fourth, excess, swing, float(groups.entropy.std()))


def mean_bound(moments: Moments, head: Head, groups: int) -> Bound:
    """Bound E sup_w (R - Rhat), which is E sup_w (K - Khat), over all heads [3.1]."""
    check_count(number_of_groups=groups)
    linear, even = _expected(moments, head)
    root = math.sqrt(groups)
    return Bound(
        "largest gap between risk and training risk",
        "theory [3.1]",
        {"labelled part": linear / root, "even part": even / root},
        _assumptions(head, "the moments are those of the groups' law"),
        math.inf,
    )


def uniform_bound(
    moments: Moments,
    head: Head,
    *,
    groups: int,
    fit: float = 0.0,
    delta: float = 0.05,
    entropy: float = 0.0,
    labels: LabelKind = "soft",
    form: Form = "excess",
    largest_excess: float | None = None,
    entropy_range: float = math.log(2),
) -> Bound:
    """Bound the (excess) risk of every head from known moments [3.2, 3.2k].

    Args:
        moments: Of the law that the groups are drawn from.
        head: L, τ, D_max.
        groups: n.
        fit: Mean (excess) risk on these groups: Khat for "excess", Rhat for "risk" or hard labels. The bound minus
            this is the locality term; at 0 it is that term alone.
        delta: The probability, at most, that the bound fails for any head.
        entropy: H of the labels on the sampled law, nats; only for what is known without data.
        labels: "hard": the risk is bounded, whatever the form.
        form: "excess" bounds K, "risk" bounds R.
        largest_excess: ess sup m(G), if known; for the excess.
        entropy_range: Largest minus smallest entropy of a group; for the excess.

    Raises:
        SpecError: A number is not finite or out of range.
    """
    check_count(number_of_groups=groups)
    check_between(0, 1, delta=delta)
    check_not_negative(entropy_range=entropy_range)
    if largest_excess is not None:
        check_positive(largest_excess=largest_excess)
    most = log_one_plus_exp(head.margin) if largest_excess is None else largest_excess
    excess = _is_excess(labels, form)
    interval = min(most, head.margin + entropy_range) if excess else head.margin
    terms = {"fit": fit, **_terms(moments, head, groups, delta, interval, excess)}
    known = "the moments are those of the law that the groups are drawn from"
    return _bound(terms, head, "theory [3.2k]" if excess else "theory [3.2]", known, entropy, delta, excess)


def empirical_bound(
    statistics: GroupStatistics,
    fit: float = 0.0,
    *,
    radius: float | None = None,
    delta: float = 0.05,
    form: Form = "excess",
    union: bool = False,
) -> Bound:
    """Bound the (excess) risk of every head from the very groups it was trained on, and nothing else [3.2e].

    The moments are replaced by upper bounds that each fail with probability δ/7 at most: empirical Bernstein, and for
    the spread of the entropy one of its standard deviation, which is tighter than theory's root of E hbar².

    Args:
        statistics: Of the groups; at least two.
        fit: As in `uniform_bound`.
        radius: L, one of those the statistics were made for; may be left out if there is only one.
        delta: The probability, at most, that the bound fails for any head.
        form: "excess" bounds K, "risk" bounds R; hard labels know the whole risk only.
        union: The radius was chosen after seeing the data, among powers of two: it gets its share of delta.

    Raises:
        SpecError: A setting is out of range, or with `union` the radius is no power of two (1 excluded).
        DataError: There are fewer than two groups.
    """
    check_between(0, 1, delta=delta)
    head = statistics.head(radius)
    share = delta * (_share(head.radius) if union else 1)
    means, variances = statistics.moments(head.radius)
    each = share / EVENTS
    # Both the estimate and the range that needs no data hold; the smaller of the two does.
    signed, saturating, fourth, above, swing = (
        min(bernstein_upper(float(mean), float(variance), statistics.groups, float(most), each), float(most))
        for mean, variance, most in zip(means[:5], variances[:5], ranges(head)[:5], strict=True)
    )
    excess = _is_excess(statistics.labels, form)
    interval = min(log_one_plus_exp(head.margin), head.margin + math.log(2)) if excess else head.margin
    spread = deviation_upper(float(variances[5]), statistics.groups, math.log(2), each)
    moments = Moments(signed, saturating, fourth, above, swing, spread)
    terms = {"fit": fit, **_terms(moments, head, statistics.groups, each, interval, excess)}
    known = "the radius was fixed before the groups were seen"
    if union:
        known = "the radius was chosen among powers of two, whichever the data suggested"
    return _bound(terms, head, "theory [3.2e]", known, statistics.entropy, delta, excess)


def powers_of_two(lowest: float, highest: float) -> tuple[float, ...]:
    """List the radii 2^j, j = ±1, ±2, ..., from about `lowest` to the one that a norm of `highest` fits in."""
    check_positive(lowest_radius=lowest)
    if not lowest <= highest < math.inf:
        raise SpecError(f"the highest radius is {highest}; it must be finite and at least the lowest, {lowest}")
    powers = range(math.floor(math.log2(lowest)), round(math.log2(radius_above(highest))) + 1)
    return tuple(2.0**j for j in powers if j)


def radius_above(norm: float) -> float:
    """Find the smallest radius 2^j, j = ±1, ±2, ..., that a trained head of some norm fits in."""
    check_positive(norm=norm)
    radius = 2.0 ** math.ceil(math.log2(norm))
    return 2.0 if radius == 1 else radius


def _share(radius: float) -> float:
    """δ_j/δ = 3/(π² j²) for radius 2^j: these sum to 1 over j = ±1, ±2, ..."""
    power = round(math.log2(radius))
    if not power or 2.0**power != radius:
        raise SpecError(
            f"the radius {radius} is no power of two, or 1; a union bound over radii has no share for it",
            hint="take radius_above(norm)",
        )
    return 3 / (math.pi * power) ** 2


def _is_excess(labels: LabelKind, form: Form) -> bool:
    check_kind(labels)
    if form not in ("excess", "risk"):
        raise SpecError(f"the form is {form!r}; it must be 'excess' or 'risk'")
    return labels == "soft" and form == "excess"


def _expected(moments: Moments, head: Head) -> tuple[float, float]:
    """(L/τ) sqrt(S) and E2."""
    slope = head.slope
    even = min(slope * math.sqrt(moments.saturating), slope**2 / 4 * math.sqrt(moments.fourth))
    return slope * math.sqrt(moments.signed), even


def _terms(moments: Moments, head: Head, groups: int, delta: float, interval: float, excess: bool) -> dict[str, float]:
    """loc_n(δ), part by part."""
    linear, even = _expected(moments, head)
    size = math.sqrt(moments.swing)
    if excess:
        size = min(math.sqrt(moments.excess), size + moments.entropy_spread)
    log, root = math.log(1 / delta), math.sqrt(groups)
    return {
        "labelled part": linear / root,
        "even part": even / root,
        "deviation": size * math.sqrt(2 * log) / root,
        "range": interval * log / (3 * groups),
    }


def _bound(
    terms: dict[str, float], head: Head, source: str, known: str, entropy: float, delta: float, excess: bool
) -> Bound:
    check_not_negative(fit=terms["fit"])
    check_entropy(entropy=entropy)
    return Bound(
        "excess risk on the sampled law" if excess else "risk on the sampled law",
        source,
        terms,
        _assumptions(head, known),
        math.log(2) - entropy if excess else math.log(2),
        1 - delta,
    )


def _assumptions(head: Head, known: str) -> tuple[str, ...]:
    return (
        f"the student is a linear head of norm {head.radius:.4g} or less, at temperature {head.temperature:.4g}, "
        "on features fixed before the groups were seen",
        "groups are drawn independently, one per query",
        f"no two documents of a group can be more than {head.largest_distance:.4g} apart",
        known,
    )
