"""What a teacher is, and opening one by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

from rankstill.collection.lines import plain_suffix
from rankstill.collection.store import Collection
from rankstill.errors import ModelError
from rankstill.models import model_kind, resolve_model
from rankstill.progress import Bar
from rankstill.records import Rows, Scores32
from rankstill.teachers.bi_encoder import BiEncoderTeacher
from rankstill.teachers.cross_encoder import CrossEncoderTeacher
from rankstill.teachers.encode import Encoder
from rankstill.teachers.precision import Precision
from rankstill.teachers.table import open_table


class Teacher(Protocol):
    """Anything that scores pairs of a query and a document; higher is better, on any scale.

    Attributes:
        name: For people.
        kind: "cross-encoder", "bi-encoder", "static", "run" or "labels".
        fingerprint: 64 hexadecimal digits; equal where every score is equal (weights, tokenizer, settings, precision).
        by_text: Whether a score is a function of the two texts alone, and so worth keeping in the score store.
        chunk: Pairs to hand over at once; what is lost at most when a run is killed.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def by_text(self) -> bool: ...  # noqa: D102
    @property
    def chunk(self) -> int: ...  # noqa: D102

    def score(self, collection: Collection, query: Rows, doc: Rows, shown: Bar | None = None) -> Scores32:
        """Score pairs.

        Args:
            collection: Where the texts and ids are.
            query: (n,) uint32 rows.
            doc: (n,) uint32 rows.
            shown: A bar to advance; where None, a long run shows its own.

        Returns:
            (n,) float32.

        Raises:
            MissingScores: The teacher has no score for some pairs.
        """
        ...

    def prepared(self, collection: Collection, query: Rows, doc: Rows, folder: Path) -> Teacher:
        """Do what is better done once for all pairs than for each chunk, keeping it in `folder` across a kill."""
        ...


def open_teacher(reference: str, *, precision: Precision = "auto", max_length: int | None = None) -> Teacher:
    """Open a teacher.

    Args:
        reference: "minilm" (the embedded default), a model folder or hub id (CrossEncoder, SentenceTransformer, or a
            transformer with a classification head), `run:FILE` or a file ending in .trec or .run (a TREC run), or
            `labels:FILE` or a file ending in .tsv (query id, document id, score). Files may be gzipped.
        precision: Of a model's body: bfloat16, float32, or whichever is fast here. Part of the fingerprint.
        max_length: Tokens of a text (bi-encoder) or pair (cross-encoder) at most; the model's own limit where None.

    Raises:
        ModelError: The model does not exist, is refused, or is no ranker.
        DataError: The run or label file is missing or broken.
    """
    kind, path = table_reference(reference)
    if kind is not None:
        return open_table(path, kind)
    folder = resolve_model(reference)
    if model_kind(folder) == "cross-encoder":
        return CrossEncoderTeacher(folder, reference, precision, max_length)
    return BiEncoderTeacher(Encoder(reference, precision, max_length))


def open_scorer(
    reference: str, *, precision: Precision = "auto", max_length: int | None = None
) -> Callable[[Sequence[str], Sequence[str]], Scores32]:
    """Open a model as a function of texts: n queries and n documents in, (n,) float32 scores out.

    Raises:
        ModelError: It is not a model: a run or label file knows ids, not texts.
    """
    teacher = open_teacher(reference, precision=precision, max_length=max_length)
    if isinstance(teacher, BiEncoderTeacher | CrossEncoderTeacher):
        return teacher.score_texts
    raise ModelError(f"{reference} scores ids, not texts", hint="give a model folder, a hub id, or minilm")


def table_reference(reference: str) -> tuple[Literal["run", "labels"] | None, Path]:
    """Tell whether a reference means a run or a label file, and which file."""
    prefix, _, rest = reference.partition(":")
    if prefix == "run" and rest:
        return "run", Path(rest).expanduser()
    if prefix == "labels" and rest:
        return "labels", Path(rest).expanduser()
    path = Path(reference).expanduser()
    suffix = "" if path.is_dir() else plain_suffix(path)
    if suffix in (".trec", ".run"):
        return "run", path
    return ("labels", path) if suffix == ".tsv" else (None, path)
