"""From a docstring to a query and a document: the first paragraph asks for what the rest says.

What is done to the text, and no more:

- Markup is taken off where it stands inside words or carries no words of its own: Sphinx roles and links, backticks,
  bold and italic marks, heading underlines, footnote marks, directive names, doctest prompts, HTML tags. The text that
  they surround stays, examples and parameter lists too. Notes on versions (`versionadded` and kin) go as a whole.
- White space collapses: a query and a document are one line each.
- The first paragraph is the query if it reads as prose. A signature before it (`func(a, b) -> c`) goes to the document;
  so do the parameter lists, examples and bullets that follow its sentences without a blank line.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from rankstill.collection.docstrings import Docstring

FEWEST_QUERY_WORDS, MOST_QUERY_WORDS = 4, 40
FEWEST_PROSE = 0.6
"""The share of a query's words that are made of letters alone."""
FEWEST_DOCUMENT_WORDS = 10
"""Words of prose, outside of examples and besides the name."""
CONTAINED = 0.8
"""The share of a query's words that, in a row, make a document contain it."""
LONGEST_DOCUMENT = 8000
"""Characters; the rest of a longer one is cut at a word. No encoder in the demo reads further."""

_BLANK = re.compile(r"\n[ \t]*\n")
_SIGNATURE = re.compile(
    r"(?:[\w.]+(?:, ?[\w.]+)* ?= ?)?(?:class |def )?[\w.]*\w\(.*\)\s*:?\s*(?:(?:->|→)\s*\S[^\n]*)?", re.DOTALL
)
_CALL = re.compile(r"[^()]*\w\(")
_SECTION = re.compile(
    r"\s*(?:Args?|Arguments?|Param(?:eter)?s?|Other Parameters|Returns?|Raises|Yields?|Receives|Examples?|Usage|Notes?|"
    r"Warnings?|Attributes|Keyword (?:Args|Arguments)|Inputs?|Outputs?|Shapes?|References|See Also|Methods|Explanation|"
    r"Todo|Example usage|Usage example|Definition|Properties)\s*(?::.*)?$",
    re.IGNORECASE,
)
_BLOCK = re.compile(
    r"\s*(?:\*{0,2}\w+ ?\(.*\)\s*:|\w+ : \S|>>>|\.\. |:\w+[^:]*:(?:\s|$)|[-*+•] |\d+[.)] |@\w+|```|\||#|<)"
)
_NOT_A_QUERY = re.compile(
    r"deprecated|copied from|adapted from|taken from|alias (?:of|for)|same as|refer to|http|"
    r"see (?:the |also |`|:|\w+[.(])|(?:todo|fixme|notes?|warning|examples?|important|internal|private)\b\s*[:.!(]",
    re.IGNORECASE,
)
_DEPRECATED = re.compile(r"^\.\. deprecated ?::", re.MULTILINE)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_PLACEHOLDER = re.compile(r"\{\w*\}|%\(\w+\)s|%s|\$\{?\w+|<[A-Z_]+>")

_MARKUP = [
    (
        re.compile(
            r"^[ \t]*\.\. (?:versionadded|versionchanged|versionremoved|currentmodule|index|plot|seealso)::.*$", re.M
        ),
        "",
    ),
    (re.compile(r"^[ \t]*\.\. \[(\w+)\]", re.M), r"[\1]"),
    (re.compile(r"^[ \t]*\.\. [\w:-]+ ?::", re.M), ""),
    (re.compile(r"^[ \t]*([-=~^\"#*+_`])\1{2,}[ \t]*$", re.M), ""),
    (re.compile(r"^[ \t]*(?:>>>|\.\.\.)(?: |$)", re.M), ""),
    (re.compile(r"^[ \t]*```\w*[ \t]*$", re.M), ""),
    (re.compile(r"(?::[\w+-]+)?:[\w+-]+:`~?([^`<]+?)\s*(?:<[^`>]*>)?`"), r"\1"),
    (re.compile(r"`([^`<]+?)\s*<[^`>]+>`_{0,2}"), r"\1"),
    (re.compile(r"\[`~?([^`\]]+)`\](?:\([^)\s]*\))?"), r"\1"),
    (re.compile(r"\[([^\]\[]+)\]\(https?://[^)\s]*\)"), r"\1"),
    (re.compile(r"\[[\w, ]+\]_"), ""),
    (re.compile(r"``(.+?)``", re.S), r"\1"),
    (re.compile(r"`([^`\n]+)`_{0,2}"), r"\1"),
    (re.compile(r"(?<![\w*])\*\*(\w(?:[^*\n]*?\w)?)\*\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\w*])\*(\w(?:[^*\n]*?\w)?)\*(?![\w*])"), r"\1"),
    (re.compile(r"</?(?:Tip|b|i|p|br|code|tt|a)\b[^>\n]*>"), ""),
    (re.compile(r"::(?=\s)"), ":"),
    (re.compile(r"%\(\w+\)s"), ""),
]
_WORD = re.compile(r"\w+")
_PROSE_WORD = re.compile(r"(?<!\S)[\"'(]*[A-Za-z][A-Za-z'’-]*[.,:;!?)\"']*(?!\S)")
_EXAMPLE = re.compile(r"^[ \t]*>>>.*(?:\n(?![ \t]*\n).*)*|^[ \t]*```[^\n]*\n(?:.*\n)*?[ \t]*```", re.M)


class Pair(NamedTuple):
    """A query and the one document that is known to answer it.

    Attributes:
        id: The qualified name.
        query: One line of prose.
        body: The document without its name: the rest of the docstring, in one line.
    """

    id: str
    query: str
    body: str

    @property
    def document(self) -> str:
        """The qualified name and the rest of the docstring."""
        return f"{self.id} {self.body}"


def pair_of(docstring: Docstring) -> Pair | str:
    """Make a pair of a docstring, or say why not (the reason as it is counted)."""
    if _DEPRECATED.search(docstring.text):
        return "deprecated"
    if _SURROGATE.search(docstring.text):
        return "not Unicode"
    head, query, rest = split_query(docstring.text)
    if not _may_be_asked(query):
        return "query is not prose"
    query = strip_markup(query)
    words = len(query.split())
    if words < FEWEST_QUERY_WORDS:
        return "query too short"
    if words > MOST_QUERY_WORDS:
        return "query too long"
    if _prose_words(query) < FEWEST_PROSE * words:
        return "query is not prose"
    if _prose_words(_EXAMPLE.sub("", rest)) < FEWEST_DOCUMENT_WORDS:
        return "document too short"
    pair = Pair(docstring.name, query, _shortened(strip_markup(f"{head}\n\n{rest}")))
    return "document contains its query" if contains(pair.document, query) else pair


def split_query(text: str) -> tuple[str, str, str]:
    r"""Split a docstring into what stands before the query (signatures), the query, and what follows.

    >>> split_query("add(a, b) -> c\n\nAdd two numbers.\n\nSlowly.")
    ('add(a, b) -> c', 'Add two numbers.', 'Slowly.')
    """
    head: list[str] = []
    paragraphs = _BLANK.split(text.strip())
    lines = paragraphs.pop(0).strip().split("\n")
    while length := _signature_length(lines):
        head += lines[:length]
        lines = lines[length:] or (paragraphs.pop(0).strip().split("\n") if paragraphs else [])
    end = next((n for n, line in enumerate(lines) if _BLOCK.match(line) or _SECTION.match(line)), len(lines))
    rest = ["\n".join(lines[end:]), *paragraphs]
    return "\n".join(head), "\n".join(lines[:end]), "\n\n".join(part for part in rest if part)


def _signature_length(lines: list[str]) -> int:
    """Count the lines of the signature that a paragraph begins with; 0 where it begins with something else."""
    if not lines or not _CALL.match(lines[0]):
        return 0
    beginnings = ("\n".join(lines[:n]).strip() for n in range(1, len(lines) + 1))
    return next((n for n, beginning in enumerate(beginnings, 1) if _SIGNATURE.fullmatch(beginning)), 0)


def strip_markup(text: str) -> str:
    """Take the markup off and collapse white space.

    >>> strip_markup("See :func:`~numpy.dot` and ``a @ b`` [1]_.")
    'See numpy.dot and a @ b .'
    """
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())


def normalised(text: str) -> str:
    """Lower-case words, single spaces: what two texts are compared by."""
    return " ".join(_WORD.findall(text.lower()))


def contains(document: str, query: str) -> bool:
    """Tell whether the document has four fifths of the query's words in a row, whatever the case and punctuation.

    So "Returns the chromatic number of a graph." is found in "the chromatic number of a graph", too.
    """
    words, text = normalised(query).split(), f" {normalised(document)} "
    length = math.ceil(CONTAINED * len(words))
    runs = (" ".join(words[n : n + length]) for n in range(len(words) - length + 1))
    return any(f" {run} " in text for run in runs)


def _may_be_asked(query: str) -> bool:
    """Tell whether the first paragraph is a text of its own, and not a template, a note or the head of a list."""
    return bool(query) and not (_NOT_A_QUERY.match(query) or _PLACEHOLDER.search(query) or query.rstrip().endswith(":"))


def _prose_words(text: str) -> int:
    """Count the words made of letters alone, as in prose and not in formulas and code."""
    return len(_PROSE_WORD.findall(text))


def _shortened(body: str) -> str:
    return body if len(body) <= LONGEST_DOCUMENT else body[:LONGEST_DOCUMENT].rsplit(" ", 1)[0]
