"""A reference reads back as it was written; what it cannot say is refused, with a word on what to write."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rankstill.candidates import open_strategy
from rankstill.candidates.bm25 import BM25Strategy
from rankstill.candidates.dense import Dense
from rankstill.candidates.ensemble import Ensemble
from rankstill.candidates.hard_negatives import HardNegatives
from rankstill.candidates.mixture import Mixture
from rankstill.candidates.random import Random
from rankstill.candidates.references import parts_of, split
from rankstill.candidates.run import Run
from rankstill.candidates.stratified import Stratified
from rankstill.candidates.teacher import Hardest
from rankstill.candidates.trisampler import TriSampler
from rankstill.candidates.writing import write_number, write_parts
from rankstill.errors import SpecError


def _balanced(text):
    depth = 0
    for c in text:
        depth += (c == "(") - (c == ")")
        if depth < 0:
            return False
    return depth == 0


paths = st.text(st.sampled_from("ab.,+*#:=()/~ é"), min_size=1, max_size=12).filter(_balanced)
numbers = st.floats(0, 1e6, allow_subnormal=False)
counts = st.integers(0, 10_000)
missing = st.sampled_from(["refuse", "skip"])

simple = st.one_of(
    st.builds(Random),
    st.builds(
        BM25Strategy,
        k1=numbers,
        b=st.floats(0, 1),
        skip=counts,
        depth=counts,
        analyser=st.sampled_from(["plain", "french"]),
    ),
    st.builds(Dense, model=paths, skip=counts, depth=counts),
    st.builds(Run, file=paths, skip=counts, depth=counts, missing=missing),
    st.builds(HardNegatives, file=paths, systems=st.sampled_from(["", "a+b", "a"]), depth=counts, missing=missing),
    st.builds(Ensemble, runs=paths, depth=counts, fuse=numbers, missing=missing),
)


def _compound(parts):
    ranked = parts.filter(lambda part: part.ranked)
    weighted = st.lists(st.tuples(parts, st.floats(0.01, 1e20)), min_size=2, max_size=3, unique_by=lambda p: str(p[0]))
    united = st.lists(ranked, min_size=2, max_size=3, unique_by=str)
    return st.one_of(
        st.builds(Hardest, of=parts.map(str)),
        st.builds(Stratified, of=parts.map(str)),
        st.builds(TriSampler, of=parts.map(str), model=paths, angle=st.floats(0.1, 180)),
        weighted.map(lambda found: Mixture(of=write_parts((str(part), weight) for part, weight in found))),
        united.map(lambda found: Ensemble(of=write_parts((str(part), 1.0) for part in found))),
    )


@given(st.recursive(simple, _compound, max_leaves=4))
def test_a_strategy_reads_back_as_it_was_written(strategy):
    assert open_strategy(str(strategy)) == strategy
    assert str(open_strategy(str(strategy))) == str(strategy)


@given(paths)
def test_parentheses_protect_any_path_whose_own_match(path):
    assert open_strategy(f"run:({path})").file == path
    assert open_strategy(f"run#file=({path}),skip=3").file == path
    first, second = open_strategy(f"mixture:(run:({path}))*0.25+random*0.75").parts()
    assert (first[0].file, first[1]) == (path, 0.25)
    assert str(second[0]) == "random"


@given(st.floats(min_value=0, allow_infinity=False))
def test_numbers_read_back_and_hold_no_plus(value):
    assume(value >= 0)
    assert float(write_number(value)) == value
    assert "+" not in write_number(value)


@pytest.mark.parametrize(
    ("reference", "same"),
    [
        ("bm25#skip=10,k1=1.20,b=0.750", "bm25#skip=10"),
        ("bm25#k1=2.0", "bm25#k1=2"),
        ("stratified#of=bm25#skip=3", "stratified:(bm25#skip=3)"),
        ("stratified:bm25", "stratified"),
        ("mixture:bm25*0.50+(random)*5e-1", "mixture"),
        ("mixture:(run:a.trec#depth=5,skip=1)+random*2", "mixture:(run:a.trec#skip=1,depth=5)+random*2"),
        ("run#file=a=b:c.trec", "run:a=b:c.trec"),
        ("ensemble:runs/first*.trec#fuse=60.0", "ensemble:runs/first*.trec#fuse=60"),
        ("ensemble#of=bm25+(dense)", "ensemble#of=bm25+dense"),
    ],
)
def test_equal_strategies_are_written_in_one_way(reference, same):
    assert str(open_strategy(reference)) == same
    assert open_strategy(reference) == open_strategy(same)


def test_the_first_hash_outside_parentheses_starts_the_options():
    strategy = open_strategy("run:(a#b.trec)#skip=2")
    assert (strategy.file, strategy.skip) == ("a#b.trec", 2)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("bm52", "unknown strategy 'bm52'"),
        ("bm25:x", "takes no argument behind a colon"),
        ("bm25#depht=3", "unknown key of the strategy bm25: 'depht'"),
        ("random#depth=3", "unknown key of the strategy random: 'depth'"),
        ("bm25#skip=3,skip=4", "skip of the strategy bm25 comes twice"),
        ("run:a#file=b", "file comes twice"),
        ("bm25#skip=3.5", "skip in .* must be a whole number: got '3.5'"),
        ("bm25#k1=high", "k1 in .* must be a number: got 'high'"),
        ("bm25#k1=nan", "k1 of the strategy bm25 is a number from 0 up: got nan"),
        ("bm25#k1=inf", "k1 of the strategy bm25 is a number from 0 up: got inf"),
        ("bm25#skip=-1", "skip of the strategy bm25 is a number from 0 up: got -1"),
        ("bm25#b=1.5", "b of the strategy bm25 is a number from 0 to 1: got 1.5"),
        ("bm25#analyser=klingon", "unknown analyser 'klingon'"),
        ("bm25#skip=", "skip of the strategy bm25 has no value"),
        ("run:", "file in 'run:' has no value"),
        ("run", "the strategy run needs a file"),
        ("run:a,b.trec#missing=ignore", "missing of the strategy run is refuse or skip: got 'ignore'"),
        ("run:a(b.trec", r"parentheses do not match in 'run:a\(b.trec'"),
        ("run#file=a,b.trec", "unknown key of the strategy run: 'b.trec'"),
        ("hard-negatives", "the strategy hard-negatives needs a file"),
        ("stratified:bm52", "unknown strategy 'bm52'"),
        ("teacher:bm25#depth=5", "unknown key of the strategy teacher: 'depth'"),
        ("trisampler#angle=0", "above 0 and up to 180 degrees: got 0"),
        ("trisampler#angle=181", "above 0 and up to 180 degrees: got 181"),
        ("trisampler#weight=both", "weight of the strategy trisampler is query or positive"),
        ("mixture:bm25", "from two to 255 parts"),
        ("mixture:bm25+", "from two to 255 parts"),
        ("mixture:bm25*0+random", "a weight in .* is not a number above 0: '0'"),
        ("mixture:bm25*x+random", "a weight in .* is not a number above 0: 'x'"),
        ("mixture:ensemble:a/*.trec+random", "a weight in .* is not a number above 0: '.trec'"),
        ("mixture:bm25+(bm25#k1=1.2)", "the part bm25 comes twice"),
        ("ensemble", "needs either systems or runs"),
        ("ensemble:a*.trec#of=bm25+dense", "needs either systems or runs"),
        ("ensemble#of=bm25+random", "unites ranked lists, and random has none"),
        ("ensemble#of=bm25*2+dense", "systems of an ensemble have no weights"),
        ("ensemble#of=bm25+dense,missing=skip", "missing belongs to runs"),
    ],
)
def test_what_is_wrong_with_a_reference_is_said(reference, message):
    with pytest.raises(SpecError, match=message):
        open_strategy(reference)


@pytest.mark.parametrize("made", [lambda: Dense(model=""), lambda: BM25Strategy(k1=math.nan), lambda: Run(file="a)b(")])
def test_what_no_reference_can_say_cannot_be_made(made):
    with pytest.raises(SpecError):
        made()


def test_splitting_is_at_the_outer_level_only():
    assert split("a,(b,c),d", ",") == ["a", "(b,c)", "d"]
    assert split("a#b#c", "#", 1) == ["a", "b#c"]
    assert split("", ",") == [""]
    assert parts_of("(run:a+b)*2+(x)") == [("run:a+b", 2.0), ("x", 1.0)]
