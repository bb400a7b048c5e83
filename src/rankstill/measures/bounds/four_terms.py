"""The four-term theorem: risk on the target = fit + locality + shift + entropy floor (theory [4.6])."""

from __future__ import annotations

import math

from rankstill.errors import SpecError
from rankstill.measures.bounds.bound import Bound
from rankstill.measures.bounds.held_out import bernstein_upper
from rankstill.measures.bounds.losses import Values, losses_within
from rankstill.measures.checks import check_between, check_count, check_entropy, check_not_negative, check_positive


def wasserstein_shift(
    costs: Values,
    *,
    student_margin: float,
    teacher_margin: float,
    temperature: float,
    entropy: float,
    shared_positive: int | None = None,
    delta: float | None = None,
) -> Bound:
    """Bound |K_mu - K_nu| by (B+B_g)/2τ times the mean over queries of W1 with cost c = L·d + |g - g'| [4.1].

    For a student that is trained already, `fitted_shift` is much smaller where it follows the teacher.

    Args:
        costs: (n,) W1 of each query under that cost, in units of score (`shift.w1_cost`); or one number in a list.
        student_margin: B, which no |u| exceeds among the documents of both laws together: L·D_max/τ.
        teacher_margin: B_g, which no |v| exceeds among them.
        temperature: τ.
        entropy: H_mu of the teacher on the target, nats.
        shared_positive: k, if every group has one positive that both laws share and k - 1 documents drawn from the
            strategy: the factor is then (k-1)/k.
        delta: If given, the mean over these queries becomes an upper bound that holds for all queries with probability
            1 - delta (empirical Bernstein on [0, τ(B+B_g)]); None takes the mean as it is.

    Raises:
        DataError: Costs are missing, negative, not finite, or above τ(B+B_g), which no cost can exceed.
        SpecError: A setting is out of range.
    """
    check_not_negative(student_margin=student_margin, teacher_margin=teacher_margin)
    both = student_margin + teacher_margin
    assumed = (
        "the student's scores are Lipschitz in the distance that the cost is made of",
        f"no student margin exceeds {student_margin:.4g} and no teacher margin {teacher_margin:.4g} among the "
        "documents of both laws together",
    )
    return _shift(
        "theory [4.1]", costs, both, both * temperature, temperature, entropy, shared_positive, delta, assumed
    )


def fitted_shift(
    costs: Values,
    *,
    largest_gap: float,
    highest_cost: float,
    temperature: float,
    entropy: float,
    shared_positive: int | None = None,
    delta: float | None = None,
) -> Bound:
    """Bound |K_mu - K_nu| of one trained student, Lipschitz or not: max|u - v|/2τ times the mean of W1 [4.5].

    Args:
        costs: (n,) W1 of each query under the cost |f - f'| + |g - g'|, in units of score (`shift.w1_two_scores`).
        largest_gap: max|u - v| over the pairs of either law: how far the student's margins are from the teacher's.
        highest_cost: What no cost exceeds: the range of the student's scores plus that of the teacher's.
        temperature: As in `wasserstein_shift`.
        entropy: As in `wasserstein_shift`.
        shared_positive: As in `wasserstein_shift`.
        delta: As in `wasserstein_shift`, on [0, `highest_cost`].

    Raises:
        DataError: Costs are missing, negative, not finite, or above `highest_cost`.
        SpecError: A setting is out of range.
    """
    check_not_negative(largest_gap=largest_gap)
    assumed = (
        f"no pair's student margin is more than {largest_gap:.4g} from the teacher's, on either law",
        "the student was fixed before the documents of W1 were drawn",
    )
    return _shift(
        "theory [4.5]", costs, largest_gap, highest_cost, temperature, entropy, shared_positive, delta, assumed
    )


def _shift(
    source: str,
    costs: Values,
    margins: float,
    highest: float,
    temperature: float,
    entropy: float,
    shared_positive: int | None,
    delta: float | None,
    assumed: tuple[str, ...],
) -> Bound:
    """Multiply the mean of W1 by margins/2τ; by (k-1)/k of it where both laws share a positive."""
    check_positive(temperature=temperature)
    check_entropy(entropy=entropy)
    factor = margins / (2 * temperature)
    assumptions = list(assumed)
    if shared_positive is None:
        assumptions.append("the documents of a group are drawn independently, from the strategy and from the target")
    else:
        check_count(2, shared_positive=shared_positive)
        factor *= (shared_positive - 1) / shared_positive
        assumptions.append("both laws share the positive; the other documents are drawn independently")
    # A hair more room than the largest cost, for rounding in the transport.
    values = losses_within(costs, highest * (1 + 1e-9), clip=False, least=1 if delta is None else 2)
    cost = float(values.mean())
    terms = {"shift": factor * cost}
    if delta is None:
        assumptions.append("the mean of W1 over these queries is that over all queries")
    else:
        check_between(0, 1, delta=delta)
        upper = bernstein_upper(cost, float(values.var(ddof=1)), len(values), highest, delta)
        terms["shift's uncertainty"] = factor * (upper - cost)
        assumptions.append("W1 of a sample is no less than that of the laws on average (theory [6.4])")
    return Bound(
        "difference of excess risk between the sampled and the target law",
        source,
        terms,
        tuple(assumptions),
        math.log(2) - entropy,
        1.0 if delta is None else 1 - delta,
    )


def variation_shift(variations: Values, *, highest: float, entropy: float) -> Bound:
    """Bound |K_mu - K_nu| for any student: 2 sup(KL) times the mean total variation [4.2].

    Args:
        variations: (n,) TV(nu_q, mu_q) of each query, from 0 to 1 (`shift.total_variation`).
        highest: The largest KL of a pair: log(1 + e^(range of scores/τ)) for scores in a known range.
        entropy: H_mu of the teacher on the target, nats.
    """
    check_positive(highest_KL=highest)
    check_entropy(entropy=entropy)
    values = losses_within(variations, 1.0, clip=False, least=1)
    assumptions = (
        "the documents of a group are drawn independently, from the strategy and from the target",
        f"no pair's excess loss can exceed {highest:.4g}",
        "the mean over these queries is that over all queries",
    )
    return Bound(
        "difference of excess risk between the sampled and the target law",
        "theory [4.2]",
        {"shift": 2 * highest * float(values.mean())},
        assumptions,
        math.log(2) - entropy,
        1.0,
    )


def four_term_bound(
    fit: float,
    locality: Bound,
    shift: Bound | None,
    floor: float,
    *,
    kappa: float | None = None,
) -> Bound:
    """Bound the risk on the target by four terms, of which the last is a true floor [4.6].

    With a shift: R_mu <= fit + locality + shift + H_mu. With kappa: R_mu <= kappa² (fit + locality) + H_mu, since pairs
    need the square [4.3]. What can be trained away is all but the floor, so the bound is vacuous where that part is not
    below log 2 - H_mu, which a constant student has: where the whole is not below log 2.

    Args:
        fit: Mean excess KL on the training groups (A), or the comparator's excess risk on the sampled law (B).
        locality: (A) `empirical_bound` or `uniform_bound` for the excess risk; (B) `sgd_bound`. Its own fit, if it
            has one, is replaced by `fit`.
        shift: `wasserstein_shift`, `fitted_shift` or `variation_shift`; None with `kappa`.
        floor: H_mu of the teacher on the target, nats.
        kappa: The largest ratio, over queries and documents, of target to sampled probability; at least 1.

    Returns:
        It holds with the sum of both bounds' failure probabilities; in expectation where `locality` does.

    Raises:
        SpecError: Shift and kappa are both given or both missing, `locality` bounds no excess risk, or a number is out
            of range. An infinite kappa is no error: the bound is infinite, hence vacuous.
    """
    check_not_negative(fit=fit)
    check_entropy(floor=floor)
    own = ("fit", "comparator's excess")
    if not locality.name.startswith("excess risk"):
        raise SpecError(
            f"the locality term bounds: {locality.name}",
            hint="take a bound of excess risk: the floor is added here, and must not be in it twice",
        )
    local = locality.factor * math.fsum(value for name, value in locality.terms.items() if name not in own)
    terms, moved, failing = _terms(fit, local, shift, kappa)
    confidence = None if locality.confidence is None else locality.confidence - failing
    if confidence is not None and not confidence > 0:
        raise SpecError(f"the two bounds together hold with probability {confidence:.3g}", hint="take smaller deltas")
    return Bound(
        "risk on the target",
        "theory [4.6 B]" if confidence is None else "theory [4.6 A]",
        {**terms, "entropy floor": floor},
        (*locality.assumptions, *moved, "the temperature is the same on both laws"),
        math.log(2),
        confidence,
    )


def _terms(
    fit: float, local: float, shift: Bound | None, kappa: float | None
) -> tuple[dict[str, float], tuple[str, ...], float]:
    """The first three terms, what they assume beyond locality, and the probability that the shift's bound fails."""
    if (shift is None) == (kappa is None):
        raise SpecError("give either the shift or kappa", hint="kappa = 1 where the groups are drawn from the target")
    if shift is not None:
        failing = 1 - shift.confidence if shift.confidence is not None else 0.0
        return {"fit": fit, "locality": local, "shift": shift.value}, shift.assumptions, failing
    assert kappa is not None
    if not kappa >= 1:
        raise SpecError(f"kappa is {kappa}; a largest ratio of two distributions is at least 1")
    assumed = (
        f"no document is more than {kappa:.4g} times as likely in the target as in the strategy",
        "the documents of a group are drawn independently, from the strategy and from the target",
    )
    if kappa == 1:
        return {"fit": fit, "locality": local}, assumed, 0.0
    # Not infinity times 0, which is no number: a document that is never drawn may carry any loss.
    scaled = [math.inf if math.isinf(kappa) else kappa**2 * term for term in (fit, local)]
    return {"fit x kappa^2": scaled[0], "locality x kappa^2": scaled[1]}, assumed, 0.0
