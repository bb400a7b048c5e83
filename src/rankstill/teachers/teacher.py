"""What a teacher is, and opening one by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol, cast, get_args

from rankstill.collection.lines import plain_suffix
from rankstill.collection.store import Collection
from rankstill.errors import ModelError, SpecError, unknown_name
from rankstill.models import Backend, model_kind, resolve_model
from rankstill.progress import Bar
from rankstill.records import Rows, Scores32
from rankstill.teachers.bi_encoder import BiEncoderTeacher
from rankstill.teachers.cross_encoder import CrossEncoderTeacher
from rankstill.teachers.encode import Encoder
from rankstill.teachers.ensemble import PREFIX as ENSEMBLE
from rankstill.teachers.ensemble import EnsembleSpec, EnsembleTeacher
from rankstill.teachers.judgements import judgements_reference
from rankstill.teachers.llm.reference import PREFIX as LLM
from rankstill.teachers.llm.teacher import open_llm
from rankstill.teachers.precision import Precision
from rankstill.teachers.reference import Options, split_options
from rankstill.teachers.sequence import SequenceTeacher, Words
from rankstill.teachers.table import open_table
from rankstill.teachers.textwise import TextwiseTeacher


class Teacher(Protocol):
    """Anything that scores pairs of a query and a document; higher is better, on any scale.

    Attributes:
        name: For people.
        kind: "cross-encoder", "bi-encoder", "static", "sparse", "late-interaction", "sequence", "ensemble", "llm",
            "run", "labels" or "judgements".
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
    """Open a teacher. docs/teachers.md shows every form.

    Args:
        reference: A model: "minilm" (the embedded default), a folder or a hub id. Or a table: `run:FILE` or a file
            ending in .trec or .run (a TREC run), `labels:FILE` or a file ending in .tsv (query id, document id,
            score); files may be gzipped. Or `judgements:SPLIT`, `ensemble:[TEACHER]+[TEACHER]`, or `llm:URL#model=NAME`
            (see docs/llm-teachers.md). Options follow as `#key=value,key=value`.
        precision: Of a model's body: bfloat16, float32, or whichever is fast here. Part of the fingerprint.
        max_length: Tokens of a text (bi-encoder) or pair (cross-encoder) at most; the model's own limit where None.

    Raises:
        ModelError: The model does not exist, is refused, or is no ranker.
        DataError: The run or label file is missing or broken.
        SpecError: The reference is not one, or an option is unknown.
    """
    if reference.startswith(ENSEMBLE):
        spec = EnsembleSpec.parse(reference.removeprefix(ENSEMBLE))
        members = [open_teacher(r, precision=precision, max_length=max_length) for r in spec.teachers]
        return EnsembleTeacher(members, spec.weights, spec.normalise)
    if reference.startswith(LLM):
        return open_llm(reference, lambda first: open_teacher(first, precision=precision, max_length=max_length))
    if (judgements := judgements_reference(reference)) is not None:
        return judgements
    kind, path, options = table_reference(reference)
    if kind is not None:
        return open_table(path, kind, **options)
    return _open_model(reference, precision, max_length)


def _open_model(reference: str, precision: Precision, max_length: int | None) -> Teacher:
    location, options = split_options(reference, ("backend", "true", "false"))
    backend = _backend(options.pop("backend", "torch"))
    folder = resolve_model(location, backend)
    kind = model_kind(folder)
    if options and kind != "sequence":
        raise SpecError(f"{location} is a {kind} model: it writes no words", hint="leave out #true=..., false=...")
    if backend == "onnx" and kind not in ("cross-encoder", "bi-encoder"):
        raise SpecError(f"{location} is a {kind} model, which runs in torch only", hint="leave out #backend=onnx")
    how = folder, location, precision, max_length
    if kind == "cross-encoder":
        return CrossEncoderTeacher(*how, backend)
    if kind == "sequence":
        return SequenceTeacher(*how, Words(**options))
    # Here, because they bring seconds of imports along, which no other teacher needs before its first pair.
    if kind == "sparse":
        from rankstill.teachers.sparse import SparseCoder

        return TextwiseTeacher(SparseCoder(*how))
    if kind == "late-interaction":
        from rankstill.teachers.late_interaction import LateInteractionCoder

        return TextwiseTeacher(LateInteractionCoder(*how))
    return BiEncoderTeacher(Encoder(location, precision, max_length, backend))


def _backend(name: str) -> Backend:
    if name not in get_args(Backend):
        raise unknown_name("backend", name, get_args(Backend))
    return cast(Backend, name)


def keep_in(teacher: Teacher, store: Path | None) -> None:
    """Let a teacher keep in a store what it learns besides scores (vectors, answers, its members' scores), if it does.

    Args:
        teacher: Any.
        store: The store's folder; None changes nothing.
    """
    keep: Callable[[Path], None] | None = getattr(teacher, "keep_in", None)
    if keep is not None and store is not None:
        keep(store)


def open_scorer(
    reference: str, *, precision: Precision = "auto", max_length: int | None = None
) -> Callable[[Sequence[str], Sequence[str]], Scores32]:
    """Open a model as a function of texts: n queries and n documents in, (n,) float32 scores out.

    Raises:
        ModelError: It is not a model: a run or label file knows ids, not texts.
    """
    teacher = open_teacher(reference, precision=precision, max_length=max_length)
    by_texts: Callable[[Sequence[str], Sequence[str]], Scores32] | None = getattr(teacher, "score_texts", None)
    if by_texts is not None:
        return by_texts
    raise ModelError(f"{reference} scores ids, not texts", hint="give a model folder, a hub id, or minilm")


_TABLES: dict[str, Literal["run", "labels"]] = {
    "run": "run",
    "labels": "labels",
    ".trec": "run",
    ".run": "run",
    ".tsv": "labels",
}


def table_reference(reference: str) -> tuple[Literal["run", "labels"] | None, Path, Options]:
    """Tell whether a reference means a run or a label file, which file, and with which options."""
    prefix, _, rest = reference.partition(":")
    kind = _TABLES.get(prefix) if rest else None
    location = rest if kind else reference
    whole = Path(location).expanduser()
    path = whole if whole.exists() else Path(location.rpartition("#")[0] or location).expanduser()
    if kind is None and not path.is_dir():
        kind = _TABLES.get(plain_suffix(path))
    if kind is None:
        return None, path, {}
    location, options = split_options(location, ("transform", "by"))
    return kind, Path(location).expanduser(), options
