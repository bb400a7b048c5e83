from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankstill.collection.docstrings import Docstring
from rankstill.collection.prose import Pair, contains, normalised, pair_of, split_query, strip_markup

REST = "The document goes on for at least ten words of plain prose, as is asked for."


def made(text: str) -> Pair | str:
    return pair_of(Docstring("pkg.f", text))


def test_a_query_and_its_document():
    pair = made(f"Sort a list\nof numbers.\n\n{REST}")
    assert pair == Pair("pkg.f", "Sort a list of numbers.", REST)
    assert pair.document == f"pkg.f {REST}"


@pytest.mark.parametrize(
    "signature",
    [
        "f(a, b) -> c",
        "f(a,\n  b=(1, 2), *, c=None) -> Tensor",
        "f(a)\n\ng(b) -> tuple[int, int]",
        "dot(a, b, out=None)",
        "pkg.f(x : [string]) -> int",
    ],
)
@pytest.mark.parametrize("between", ["\n\n", "\n"])
def test_a_leading_signature_is_no_query_but_stays_in_the_document(signature, between):
    pair = made(f"{signature}{between}Sort a list of numbers.\n\n{REST}")
    assert pair.query == "Sort a list of numbers."
    assert pair.body == f"{' '.join(signature.split())} {REST}"


@pytest.mark.parametrize(
    "block",
    [
        "Args:\n    a: The list.",
        "Parameters\n----------\na : list",
        ":param a: the list",
        ">>> f([2, 1])\n[1, 2]",
        "- in place",
        ".. note:: Slow.",
        "a (list): The list.",
        "a : list",
    ],
)
def test_the_query_ends_where_a_list_or_an_example_begins(block):
    pair = made(f"Sort a list of numbers.\n{block}\n\n{REST}")
    assert pair.query == "Sort a list of numbers."
    assert pair.body.endswith(REST)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"Sort things.\n\n{REST}", "query too short"),
        (f"{'word ' * 41}\n\n{REST}", "query too long"),
        ("Sort a list of numbers.\n\nSlow, but sure.", "document too short"),
        (f"Sort a list of numbers.\n\n>>> f('{REST}')\n{REST}", "document too short"),
        (f"f(a, b) -> c\n\n{REST}", "document too short"),
        (f"Args:\n    a: A list of numbers.\n\n{REST}", "query is not prose"),
        (f"past (`Cache`, *optional*): It is a cache.\n\n{REST}", "query is not prose"),
        (f"Parameters\n----------\na : list\n\n{REST}", "query is not prose"),
        (f"Deprecated: use something else instead.\n\n{REST}", "query is not prose"),
        (f"TODO: write this down some day.\n\n{REST}", "query is not prose"),
        (f"Construct a {{model}} from a file.\n\n{REST}", "query is not prose"),
        (f"The %(name)s of a figure here.\n\n{REST}", "query is not prose"),
        (f"Returns a tuple that contains the following:\n\n{REST}", "query is not prose"),
        (f"x**2 + y**2 = z**2 for all x\n\n{REST}", "query is not prose"),
        (f">>> f(1) is a list of numbers\n\n{REST}", "query is not prose"),
        (f"f(a, b) -> c\n\ng(a) -> d\n\n{REST[:-1]}:", "query is not prose"),
        (f"Sort a list of numbers.\n\n.. deprecated:: 1.2\n\n   Use g.\n\n{REST}", "deprecated"),
        (f"Sort a list of \ud800 numbers.\n\n{REST}", "not Unicode"),
        (f"Sort a list of numbers.\n\n{REST} To SORT a\nlist, of numbers!", "document contains its query"),
        (f"Sort the whole list of numbers.\n\n{REST} Sorts\nthe whole list of numbers.", "document contains its query"),
    ],
)
def test_what_makes_no_pair(text, reason):
    assert made(text) == reason


def test_a_deprecated_argument_does_not_make_the_function_deprecated():
    assert isinstance(made(f"Sort a list of numbers.\n\n{REST}\n\na : list\n    .. deprecated:: 1.2"), Pair)


@pytest.mark.parametrize("word", ["Warning", "Private", "Note", "Internal"])
def test_words_that_only_look_like_notes(word):
    assert isinstance(made(f"{word} function about lists of numbers.\n\n{REST}"), Pair)


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        (":class:`~torch.Tensor` and :py:meth:`run`", "torch.Tensor and run"),
        (":func:`the sum <numpy.sum>`", "the sum"),
        ("`the docs <https://example.org>`_ say", "the docs say"),
        ("[the docs](https://example.org/a) say", "the docs say"),
        ("[`AutoModel`] and [`~x.Y`]", "AutoModel and x.Y"),
        ("``a`` is `b` and *c* is **d e**", "a is b and c is d e"),
        ("f(*args, **kwargs) is 2**3 * 4", "f(*args, **kwargs) is 2**3 * 4"),
        ("Returns\n-------\nint", "Returns int"),
        (">>> f(1)\n... # more\n2", "f(1) # more 2"),
        ("as in [1]_ and [2, 3]_\n\n.. [1] A book", "as in and [1] A book"),
        (".. versionadded:: 1.2\nNew.", "New."),
        (".. math::\n\n    x^2", "x^2"),
        ("for example::\n\n    x", "for example: x"),
        ("x[0] and a <= b > c", "x[0] and a <= b > c"),
        ("<Tip>\n\nBe quick.\n\n</Tip>", "Be quick."),
    ],
)
def test_strip_markup(marked, plain):
    assert strip_markup(marked) == plain


def test_contains_four_fifths_in_a_row():
    query = "one two three four five"
    assert contains("One, two; THREE four!", query)
    assert contains("zero two three four five", query)
    assert not contains("one two three", query)
    assert not contains("one two three 4 five", query)
    assert not contains("someone two three four", query)


@given(st.text(alphabet=">.-=`:*\n (){}[]<>%ab#", max_size=200))
def test_any_text_is_a_pair_or_a_reason_and_nothing_is_lost_in_splitting(text):
    head, query, rest = split_query(text)
    assert normalised(f"{head}\n{query}\n{rest}") == normalised(text)
    assert isinstance(made(text), str)
