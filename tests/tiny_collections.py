"""Small collections made in memory, loaded by the real loader."""

from pathlib import Path

from rankstill.collection.load import load
from rankstill.collection.source import Source
from rankstill.collection.store import Collection


def make_collection(
    folder: Path,
    documents: dict[str, str],
    queries: dict[str, str],
    judgements: list[tuple[str, str, str, int]] = (),
    name: str = "tiny",
) -> Collection:
    """Load a collection given as id -> text, and (split, query id, document id, grade)."""
    source = Source(
        name,
        lambda: iter(documents.items()),
        lambda: iter(queries.items()),
        lambda: iter(judgements),
        identity=repr((documents, queries, judgements)),
    )
    return Collection(load(source, folder))


WORDS = [
    *("wing", "slip", "stream", "jet", "flow", "shock", "heat", "plate", "lift", "drag"),
    *("cone", "boundary", "layer", "nose", "tail", "flap", "gas", "wave", "model", "tunnel"),
]


def word_collection(folder: Path, documents: int = 200, queries: int = 20, salt: int = 0) -> Collection:
    """Load a collection of word salads in which each query has one positive that shares its words."""
    texts, asked, judged = {}, {}, []
    for d in range(documents):
        picked = [WORDS[(d * 7 + i * (d % 5 + 1) + salt) % len(WORDS)] for i in range(8)]
        texts[f"d{d}"] = " ".join([*picked, f"report{d}"])
    for q in range(queries):
        positive = (q * 9 + 4) % documents
        asked[f"q{q}"] = " ".join(texts[f"d{positive}"].split()[:3])
        judged.append(("train" if q % 2 else "test", f"q{q}", f"d{positive}", 1))
    return make_collection(folder, texts, asked, judged, name="words")
