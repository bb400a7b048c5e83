"""Losses: hand-worked values, invariances, gradients, padding, and other people's implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from rankstill.errors import DataError, SpecError
from rankstill.students.losses import LOSSES, floor, kl, lce, margin_mse, ranknet

NAMES = ["lce", "ranknet", "margin_mse", "kl"]
DISTILLING = ["ranknet", "margin_mse", "kl"]
LOG2 = math.log(2)


def scores(queries: int = 3, group: int = 5, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Student, teacher and labels in float64; column 0 is the positive."""
    generator = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, queries, group, generator=generator, dtype=torch.float64)
    labels = torch.zeros(queries, group, dtype=torch.float64)
    labels[:, 0] = 1
    return student, 3 * teacher, labels


def gradient(loss: Tensor, of: Tensor) -> Tensor:
    return torch.autograd.grad(loss, of)[0]


def test_the_four_losses_of_the_paper():
    assert list(LOSSES) == NAMES


# Hand-worked values


def test_lce_by_hand():
    # Odds of the positive 3 : 1 + 2, so half; then 1 : 1 + 6.
    student = torch.tensor([[3.0, 1.0, 2.0], [1.0, 1.0, 6.0]]).log()
    labels = torch.tensor([[1.0, 0, 0], [1.0, 0, 0]])
    assert lce(student, torch.zeros(2, 3), labels).item() == pytest.approx((math.log(2) + math.log(8)) / 2)


def test_lce_sets_each_positive_against_the_negatives_alone():
    # Positives with odds 4 and 2, negatives 1 and 1: 4/(4+2) and 2/(2+2), not 4/8 and 2/8.
    student = torch.tensor([[4.0, 2.0, 1.0, 1.0]]).log()
    labels = torch.tensor([[1.0, 2.0, 0.0, 0.0]])
    assert lce(student, student, labels).item() == pytest.approx((math.log(6 / 4) + math.log(2)) / 2)


def test_ranknet_by_hand():
    # One pair: the teacher prefers the first with 3/4, the student with 1/2.
    teacher, student = torch.tensor([[math.log(3), 0.0]]), torch.tensor([[5.0, 5.0]])
    assert ranknet(student, teacher, student).item() == pytest.approx(LOG2)
    # The student with 4/5: -(3/4) log(4/5) - (1/4) log(1/5).
    student = torch.tensor([[math.log(4), 0.0]])
    assert ranknet(student, teacher, student).item() == pytest.approx(-0.75 * math.log(0.8) - 0.25 * math.log(0.2))


def test_margin_mse_by_hand():
    # Margins 2, 1 against 5, 2: (9 + 1) / 2.
    student, teacher = torch.tensor([[2.0, 0.0, 1.0]]), torch.tensor([[9.0, 4.0, 7.0]])
    assert margin_mse(student, teacher, student).item() == 5.0
    # At temperatures 1 (student) and 2 (teacher) the teacher's margins are 2.5, 1: (0.25 + 0) / 2.
    assert margin_mse(student, teacher, student, temperature=2.0, student_temperature=1.0).item() == 0.125


def test_kl_by_hand():
    # (1/2, 1/2) against (1/4, 3/4): 1/2 log 2 + 1/2 log(2/3).
    student = torch.tensor([[0.0, math.log(3)]])
    by_hand = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert kl(student, torch.zeros(1, 2), student).item() == pytest.approx(by_hand)
    # Twice the scores at twice the temperature: the same distributions, times 2².
    assert kl(2 * student, torch.zeros(1, 2), student, temperature=2.0).item() == pytest.approx(4 * by_hand)


# Invariances


@pytest.mark.parametrize("name", NAMES)
@given(shifts=st.lists(st.floats(-50, 50), min_size=6, max_size=6), seed=st.integers(0, 99))
@settings(max_examples=12, derandomize=True, deadline=None)
def test_shifting_the_scores_of_a_query_changes_nothing(name: str, shifts: list[float], seed: int):
    student, teacher, labels = scores(seed=seed)
    by_student, by_teacher = torch.tensor(shifts, dtype=torch.float64).view(2, 3, 1)
    expected = LOSSES[name](student, teacher, labels)
    torch.testing.assert_close(LOSSES[name](student + by_student, teacher + by_teacher, labels), expected)


@pytest.mark.parametrize("name", NAMES)
@given(order=st.permutations([1, 2, 3, 4]), seed=st.integers(0, 99))
@settings(max_examples=8, derandomize=True, deadline=None)
def test_the_order_of_the_negatives_changes_nothing(name: str, order: list[int], seed: int):
    tables = scores(seed=seed)
    moved = [table[:, [0, *order]] for table in tables]
    torch.testing.assert_close(LOSSES[name](*moved), LOSSES[name](*tables))


@pytest.mark.parametrize("name", ["lce", "ranknet", "kl"])
def test_the_place_of_the_positive_changes_nothing_where_it_is_known_by_its_label(name: str):
    tables = scores()
    torch.testing.assert_close(LOSSES[name](*(t.flip(1) for t in tables)), LOSSES[name](*tables))


@pytest.mark.parametrize("targets", ["teacher", "order", "labels"])
def test_ranknet_does_not_depend_on_how_a_pair_is_ordered(targets: str):
    student, teacher, labels = scores(1, 2)
    first = ranknet(student, teacher, labels, targets=targets)
    torch.testing.assert_close(ranknet(student.flip(1), teacher.flip(1), labels.flip(1), targets=targets), first)


@pytest.mark.parametrize("name", NAMES)
def test_temperatures_divide_the_scores(name: str):
    student, teacher, labels = scores()
    factor = 4.0 if name == "kl" else 1.0  # the square of the student's temperature
    loss = LOSSES[name](student, teacher, labels, temperature=3.0, student_temperature=2.0)
    torch.testing.assert_close(loss, factor * LOSSES[name](student / 2, teacher / 3, labels))
    one = LOSSES[name](student, teacher, labels, temperature=3.0)
    torch.testing.assert_close(one, LOSSES[name](student, teacher, labels, temperature=3.0, student_temperature=3.0))


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_the_mean_of_its_queries(name: str):
    tables = scores(4)
    alone = torch.stack([LOSSES[name](*(t[i : i + 1] for t in tables)) for i in range(4)])
    torch.testing.assert_close(LOSSES[name](*tables), alone.mean())


def test_lce_ignores_the_teacher_and_the_others_the_labels():
    student, teacher, labels = scores()
    assert lce(student, teacher, labels) == lce(student, -teacher, labels)
    for name in DISTILLING:
        assert LOSSES[name](student, teacher, labels) == LOSSES[name](student, teacher, 1 - labels)


# Identities of docs/theory.md


def pair_entropy(p: Tensor) -> Tensor:
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p))


@given(seed=st.integers(0, 9999), temperature=st.floats(0.3, 5))
@settings(max_examples=20, derandomize=True, deadline=None)
def test_ranknet_is_divergence_plus_teacher_entropy(seed: int, temperature: float):
    """[1.1] psi_p(u) = KL(p || s(u)) + h(p), mean over pairs and queries, to 1e-10."""
    student, teacher, labels = scores(seed=seed)
    first, second = torch.triu_indices(5, 5, 1)
    p, q = (torch.sigmoid((g[:, first] - g[:, second]) / temperature) for g in (teacher, student))
    divergence = torch.xlogy(p, p / q) + torch.xlogy(1 - p, (1 - p) / (1 - q))
    loss = ranknet(student, teacher, labels, temperature=temperature)
    least = floor("ranknet", teacher, labels, temperature=temperature)
    assert abs(loss - (divergence + pair_entropy(p)).mean()) < 1e-10
    assert abs(least - pair_entropy(p).mean()) < 1e-10
    assert abs(loss - least - divergence.mean()) < 1e-10


def test_ranknet_approaches_the_mean_squared_margin_over_8_at_high_temperature():
    """[1.7]"""
    student, teacher, labels = scores()
    first, second = torch.triu_indices(5, 5, 1)
    gaps = (student - teacher)[:, first] - (student - teacher)[:, second]
    tau = 1e3
    excess = ranknet(student, teacher, labels, temperature=tau) - floor("ranknet", teacher, labels, temperature=tau)
    torch.testing.assert_close(excess * tau**2, gaps.square().mean() / 8, rtol=1e-4, atol=0)


def test_kl_approaches_half_the_variance_of_the_gap_at_high_temperature():
    """The factor τ² keeps value and gradient from vanishing (arXiv 1503.02531, section 2.1)."""
    student, teacher, labels = scores()
    student.requires_grad_()
    loss = kl(student, teacher, labels, temperature=1e4)
    limit = (student - teacher).var(1, correction=0).mean() / 2
    torch.testing.assert_close(loss, limit, rtol=1e-3, atol=0)
    torch.testing.assert_close(gradient(loss, student), gradient(limit, student), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", DISTILLING)
def test_the_floor_is_reached_at_the_teachers_margins_and_nowhere_undercut(name: str):
    student, teacher, labels = scores()
    least = floor(name, teacher, labels, temperature=2.0)
    at_teacher = LOSSES[name](teacher + 7, teacher, labels, temperature=2.0)
    torch.testing.assert_close(at_teacher, least)
    # Two temperatures: the same margins after division.
    scaled = LOSSES[name](3 * teacher, teacher, labels, temperature=2.0, student_temperature=6.0)
    torch.testing.assert_close(scaled, least, atol=1e-12, rtol=1e-7)
    assert LOSSES[name](student, teacher, labels, temperature=2.0) > least


def test_the_floor_of_hard_targets_is_log_2_times_the_share_of_ties():
    teacher, labels = torch.tensor([[2.0, 2.0, 1.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    assert floor("ranknet", teacher, labels, targets="order").item() == pytest.approx(LOG2 / 3)
    assert floor("ranknet", teacher, labels, targets="labels").item() == pytest.approx(LOG2 / 3)
    huge = torch.tensor([[1e4, 1e4, -1e4]])
    assert ranknet(huge, teacher, labels, targets="order").item() == pytest.approx(LOG2 / 3)


def test_the_floor_is_finite_and_positive_where_the_teacher_is_all_but_certain():
    teacher = torch.tensor([[50.0, 0.0]], dtype=torch.float64)
    # h(s(50)) = 51 e^-50 to first order; by way of p = s(50), which rounds to 1, it would be 0.
    assert floor("ranknet", teacher, teacher).item() == pytest.approx(51 * math.exp(-50), rel=1e-9, abs=0)


@pytest.mark.parametrize("name", ["lce", "margin_mse", "kl"])
def test_the_other_floors_are_zero(name: str):
    _, teacher, labels = scores()
    assert floor(name, teacher, labels).item() == 0.0


# Gradients


CASES = [*((name, {}) for name in NAMES), ("ranknet", {"targets": "order"}), ("ranknet", {"targets": "labels"})]


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("masked", [False, True])
def test_gradients(name: str, options: dict[str, str], masked: bool):
    student, teacher, labels = scores(2, 4)
    mask = torch.tensor([[True, True, True, True], [True, True, False, True]]) if masked else None
    student.requires_grad_()

    def loss(s: Tensor) -> Tensor:
        return LOSSES[name](s, teacher, labels, mask=mask, temperature=1.7, student_temperature=0.8, **options)

    assert torch.autograd.gradcheck(loss, (student,))


@pytest.mark.parametrize("name", NAMES)
def test_no_gradient_reaches_the_teacher(name: str):
    student, teacher, labels = (t.requires_grad_() for t in scores())
    LOSSES[name](student, teacher, labels).backward()
    assert student.grad is not None
    assert teacher.grad is None
    assert labels.grad is None


@pytest.mark.parametrize("name", NAMES)
def test_a_hopelessly_wrong_order_still_has_a_gradient(name: str):
    """Defect elsewhere: a ReLU inside the hinge zeroes the gradient of every mis-ordered pair."""
    student = torch.tensor([[-300.0, 300.0]], requires_grad=True)
    loss = LOSSES[name](student, torch.tensor([[4.0, -4.0]]), torch.tensor([[1.0, 0.0]]))
    assert math.isfinite(loss.item())
    up, down = gradient(loss, student)[0].tolist()
    assert up < -0.2
    assert down > 0.2


# Padding


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("junk", [math.nan, math.inf, -math.inf, 1e38])
def test_padding_has_no_influence(name: str, options: dict[str, str], junk: float):
    tables = scores(2, 4)
    padded = [torch.cat([t, torch.full((2, 3), junk, dtype=t.dtype)], 1) for t in tables]
    # The second query is one document shorter still.
    for table in padded:
        table[1, 3] = junk
    mask = torch.tensor([[True] * 4 + [False] * 3, [True] * 3 + [False] * 4])
    padded[0].requires_grad_()
    loss = LOSSES[name](*padded, mask=mask, temperature=2.0, **options)
    each = [
        LOSSES[name](*(t[i : i + 1, :size] for t in tables), temperature=2.0, **options) for i, size in ((0, 4), (1, 3))
    ]
    torch.testing.assert_close(loss, torch.stack(each).mean())
    found = gradient(loss, padded[0])
    assert (found[~mask] == 0).all()
    assert torch.isfinite(found).all()
    if name == "ranknet":
        least = floor(name, padded[1], padded[2], mask=mask, temperature=2.0, **options)
        parts = [floor(name, *(t[i : i + 1, :size] for t in tables[1:]), temperature=2.0, **options)
                 for i, size in ((0, 4), (1, 3))]  # fmt: skip
        torch.testing.assert_close(least, torch.stack(parts).mean())


def test_the_mask_may_stand_anywhere_but_on_the_positive_of_margin_mse():
    student, teacher, labels = scores(1, 4)
    mask = torch.tensor([[True, False, True, True]])
    kept = [t[:, [0, 2, 3]] for t in (student, teacher, labels)]
    for name in NAMES:
        torch.testing.assert_close(LOSSES[name](student, teacher, labels, mask=mask), LOSSES[name](*kept))
    with pytest.raises(DataError, match="1 of 1 groups have padding in column 0"):
        margin_mse(student, teacher, labels, mask=~mask | torch.tensor([[False, False, False, True]]))


# Precision


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_scores_are_computed_in_float32(name: str, dtype: torch.dtype):
    student, teacher, labels = (t.to(dtype) for t in scores())
    loss = LOSSES[name](student.requires_grad_(), teacher, labels)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, LOSSES[name](student.float(), teacher.float(), labels.float()))
    assert gradient(loss, student).dtype == dtype


@pytest.mark.parametrize("name", NAMES)
def test_large_scores_do_not_overflow(name: str):
    student = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    loss = LOSSES[name](student, torch.tensor([[-1e4, 1e4, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]]))
    assert math.isfinite(loss.item())
    assert torch.isfinite(gradient(loss, student)).all()


# Defects seen in other implementations: ours has none of them


def test_ranknet_ties_give_one_half():
    """Elsewhere a tie of the teacher counts as "the second wins"."""
    tied, student = torch.zeros(1, 2), torch.tensor([[0.4, -0.3]], requires_grad=True)
    for targets in ("teacher", "order", "labels"):
        loss = ranknet(student, tied, tied, targets=targets)
        # psi_1/2(u) = log 2 + log cosh(u/2), which is least where the student ties too.
        assert loss.item() == pytest.approx(LOG2 + math.log(math.cosh(0.35)))
        assert gradient(loss, student)[0, 0] > 0


def test_ranknet_with_labels_ranks_the_positive_above_every_negative():
    """Elsewhere only the pair (0, 1) is labelled: the other negatives are pushed above the positive."""
    student = torch.zeros(1, 4, requires_grad=True)
    labels = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    pushed = gradient(ranknet(student, student, labels, targets="labels"), student)[0]
    # Each of the 6 pairs has slope 1/2 - p: three with p = 1, and ties at their minimum.
    torch.testing.assert_close(pushed, torch.tensor([-3.0, 1.0, 1.0, 1.0]) / 2 / 6)


def test_ranknet_counts_every_pair_with_the_teachers_confidence():
    """Elsewhere there is the hard order only, and the temperature is never used."""
    student, teacher, labels = scores(1, 3)
    losses = {t: ranknet(student, teacher, labels, temperature=t).item() for t in (0.5, 1.0, 2.0)}
    assert len(set(losses.values())) == 3
    by_loop = 0.0
    for i, j in ((0, 1), (0, 2), (1, 2)):
        p = 1 / (1 + math.exp(-(teacher[0, i] - teacher[0, j])))
        q = 1 / (1 + math.exp(-(student[0, i] - student[0, j])))
        by_loop -= (p * math.log(q) + (1 - p) * math.log(1 - q)) / 3
    assert losses[1.0] == pytest.approx(by_loop, rel=1e-12)


def test_order_targets_are_the_limit_of_a_cold_teacher():
    student, teacher, labels = scores()
    cold = ranknet(student, teacher, labels, temperature=1e-6, student_temperature=1.0)
    torch.testing.assert_close(ranknet(student, teacher, labels, targets="order"), cold)


@pytest.mark.parametrize("name", ["ranknet", "kl"])
def test_softmax_and_pairs_stay_within_a_group(name: str):
    """Elsewhere a softmax runs over the whole batch: another query's scores then change a query's gradient."""
    student, teacher, labels = scores(2)
    other = student.clone()
    other[1] += torch.arange(5.0)
    pushed = [
        gradient(LOSSES[name](s, teacher, labels), s)[0] for s in (student.requires_grad_(), other.requires_grad_())
    ]
    assert torch.equal(*pushed)


def test_kl_is_a_sum_over_documents_not_a_mean():
    """Elsewhere the mean over elements makes the scale depend on the length of a list."""
    student, teacher, labels = scores(1, 4)
    with_irrelevant = [torch.cat([t, torch.full((1, 96), value)], 1) for t, value in
                       ((student, -80.0), (teacher, -80.0), (labels, 0.0))]  # fmt: skip
    torch.testing.assert_close(kl(*with_irrelevant), kl(student, teacher, labels))


@pytest.mark.parametrize("name", DISTILLING)
def test_student_and_teacher_are_treated_alike(name: str):
    """Elsewhere only the student is scaled to [0, 1], so it cannot match a peaked teacher."""
    _, teacher, labels = scores()
    student = (10 * teacher).requires_grad_()
    loss = LOSSES[name](student, 10 * teacher, labels)
    torch.testing.assert_close(loss, floor(name, 10 * teacher, labels))
    assert gradient(loss, student).abs().max() < 1e-12


# Independent implementations


def test_lce_is_torchs_cross_entropy():
    student, teacher, labels = scores()
    expected = functional.cross_entropy(student / 2, torch.zeros(3, dtype=torch.long))
    torch.testing.assert_close(lce(student, teacher, labels, temperature=2.0), expected)


def test_kl_and_margin_mse_in_numpy():
    student, teacher, labels = scores()
    s, t = student.numpy() / 0.7, teacher.numpy() / 2.0
    log_p, log_q = (g - np.log(np.exp(g).sum(1, keepdims=True)) for g in (t, s))
    settings_ = {"temperature": 2.0, "student_temperature": 0.7}
    expected = 0.49 * (np.exp(log_p) * (log_p - log_q)).sum(1).mean()
    assert kl(student, teacher, labels, **settings_).item() == pytest.approx(expected, rel=1e-12)
    expected = np.mean([[(s[i, 0] - s[i, j] - t[i, 0] + t[i, j]) ** 2 for j in range(1, 5)] for i in range(3)])
    assert margin_mse(student, teacher, labels, **settings_).item() == pytest.approx(expected, rel=1e-12)


def columns(student: Tensor) -> list[Tensor]:
    """Embeddings of one dimension whose dot products are the student's scores."""
    return [torch.ones(len(student), 1), *(column[:, None] for column in student.unbind(1))]


@pytest.mark.parametrize(("temperature", "student_temperature"), [(1.0, None), (2.0, None), (3.0, 0.5)])
def test_kl_is_sentence_transformers_distill_kl_div(temperature: float, student_temperature: float | None):
    from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss

    student, teacher, labels = (t.float() for t in scores(4, 6))
    theirs = DistillKLDivLoss(torch.nn.Identity(), temperature=temperature, student_temperature=student_temperature)
    ours = kl(student, teacher, labels, temperature=temperature, student_temperature=student_temperature)
    torch.testing.assert_close(ours, theirs.compute_loss_from_embeddings(columns(student), teacher))


def test_margin_mse_is_sentence_transformers():
    from sentence_transformers.sentence_transformer.losses import MarginMSELoss

    student, teacher, labels = (t.float() for t in scores(4, 6))
    theirs = MarginMSELoss(torch.nn.Identity()).compute_loss_from_embeddings(columns(student), teacher)
    torch.testing.assert_close(margin_mse(student, teacher, labels), theirs)


class Fixed(torch.nn.Module):
    """Stands in for a cross-encoder: a "document" is its own score."""

    num_labels = 1
    device = torch.device("cpu")

    def preprocess(self, pairs: list[tuple[str, str]], **_: object) -> dict[str, Tensor]:
        return {"scores": torch.tensor([[float(doc)] for _, doc in pairs])}

    def forward(self, tokens: dict[str, Tensor]) -> dict[str, Tensor]:
        return tokens


def lists(student: Tensor, mask: Tensor) -> list[list[object]]:
    docs = [[str(s) for s in row[real].tolist()] for row, real in zip(student, mask, strict=True)]
    return [["q"] * len(student), docs]


def test_ranknet_on_labels_is_sentence_transformers_rank_net_plus_ties():
    from sentence_transformers.cross_encoder.losses import RankNetLoss

    student, teacher, _ = (t.float() for t in scores(4, 6))
    everything = torch.ones_like(student, dtype=torch.bool)
    theirs = RankNetLoss(Fixed(), reduction_log="natural")
    # The teacher's order as labels, without ties: the same pairs, the same mean.
    ranks = teacher.argsort(1).argsort(1).float()
    expected = theirs(lists(student, everything), list(ranks))
    torch.testing.assert_close(ranknet(student, teacher, ranks, targets="order"), expected)
    torch.testing.assert_close(ranknet(student, teacher, ranks, targets="labels"), expected)
    # Binary labels: theirs leaves the ties among negatives out, ours counts them as log 2 + log cosh(u/2).
    labels = torch.zeros_like(student)
    labels[:, 0] = 1
    first, second = torch.triu_indices(5, 5, 1)
    u = student[:, 1:][:, first] - student[:, 1:][:, second]
    tied = (LOG2 + torch.log(torch.cosh(u / 2))).sum(1)
    expected = (5 * theirs(lists(student, everything), list(labels)) + tied.mean()) / 15
    torch.testing.assert_close(ranknet(student, teacher, labels, targets="labels"), expected)


def test_kl_is_sentence_transformers_list_net_less_the_teachers_entropy():
    """[1.3] cross-entropy = divergence + entropy; theirs pads the shorter list too."""
    from sentence_transformers.cross_encoder.losses import ListNetLoss

    student, teacher, labels = (t.float() for t in scores(2, 6))
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    theirs = ListNetLoss(Fixed())(lists(student, mask), [t[m] for t, m in zip(teacher, mask, strict=True)])
    p = [torch.softmax(t[m], 0) for t, m in zip(teacher, mask, strict=True)]
    entropy = torch.stack([-(q * q.log()).sum() for q in p]).mean()
    torch.testing.assert_close(kl(student, teacher, labels, mask=mask), theirs - entropy)


def test_lce_is_sentence_transformers_multiple_negatives_ranking():
    from sentence_transformers.cross_encoder.losses import MultipleNegativesRankingLoss

    student, teacher, labels = (t.float() for t in scores(4, 6))
    theirs = MultipleNegativesRankingLoss.__new__(MultipleNegativesRankingLoss)  # its formula needs no model
    torch.nn.Module.__init__(theirs)
    theirs.activation_fn, theirs.scale, theirs.cross_entropy_loss = None, 4.0, torch.nn.CrossEntropyLoss()
    expected = theirs.calculate_loss(list(student.unbind(1)), 4)
    torch.testing.assert_close(lce(student, teacher, labels, temperature=0.25), expected)


# Refusals


@pytest.mark.parametrize("name", NAMES)
def test_wrong_shapes_say_what_was_expected_and_what_came(name: str):
    loss = LOSSES[name]
    with pytest.raises(SpecError, match=r"one shape \(queries, group\), got student \(2, 3\), teacher \(2, 4\)"):
        loss(torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(2, 3))
    with pytest.raises(SpecError, match=r"got student \(6,\)"):
        loss(torch.zeros(6), torch.zeros(6), torch.zeros(6))
    with pytest.raises(SpecError, match=r"mask \(2,\)"):
        loss(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2, 3), mask=torch.ones(2, dtype=torch.bool))
    with pytest.raises(SpecError, match="two documents"):
        loss(torch.zeros(2, 1), torch.zeros(2, 1), torch.zeros(2, 1))
    with pytest.raises(SpecError, match="at least one query"):
        loss(torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0, 3))
    with pytest.raises(SpecError, match=r"mask of torch\.bool, got torch\.float32"):
        loss(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2, 3), mask=torch.ones(2, 3))
    with pytest.raises(SpecError, match=r"got torch\.int64"):
        loss(*(torch.zeros(2, 3, dtype=torch.long),) * 3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_temperatures_must_be_above_0_and_finite(name: str, bad: float):
    tables = scores()
    with pytest.raises(SpecError, match=r"^temperature is"):
        LOSSES[name](*tables, temperature=bad, student_temperature=1.0)
    with pytest.raises(SpecError, match="student_temperature is"):
        LOSSES[name](*tables, student_temperature=bad)


@pytest.mark.parametrize("name", NAMES)
def test_a_group_with_fewer_than_two_real_documents_is_refused(name: str):
    mask = torch.ones(3, 5, dtype=torch.bool)
    mask[1], mask[2, 1:] = False, False
    with pytest.raises(
        DataError, match=r"2 of 3 groups have fewer than two real documents \(first: row 1 of the batch\)"
    ):
        LOSSES[name](*scores(), mask=mask)


def test_lce_refuses_a_group_without_a_positive_or_without_a_negative():
    student, teacher, labels = scores()
    none = labels.clone()
    none[2] = 0
    with pytest.raises(DataError, match=r"1 of 3 groups have no positive \(first: row 2 of the batch\)"):
        lce(student, teacher, none)
    with pytest.raises(DataError, match="3 of 3 groups have no negative"):
        lce(student, teacher, torch.ones_like(labels))
    hidden = torch.ones_like(labels, dtype=torch.bool)
    hidden[1, 0] = False  # a positive in the padding is none
    with pytest.raises(DataError, match=r"1 of 3 groups have no positive \(first: row 1"):
        lce(student, teacher, labels, mask=hidden)


def test_unknown_names_are_refused_with_the_nearest():
    student, teacher, labels = scores()
    with pytest.raises(SpecError, match="did you mean 'margin_mse'"):
        floor("margin-mse", teacher, labels)
    with pytest.raises(SpecError, match="did you mean 'labels'"):
        ranknet(student, teacher, labels, targets="label")
