from __future__ import annotations

import json
from collections import Counter

import pytest

from rankstill.collection import pydocs
from rankstill.collection.load import load
from rankstill.collection.prose import FEWEST_QUERY_WORDS, MOST_QUERY_WORDS, normalised
from rankstill.collection.store import Collection
from rankstill.errors import DataError, SpecError
from rankstill.randomness import rng_for


def words(*names: object, count: int = 15) -> str:
    """Give prose that shares hardly a run of words with any other."""
    letters = rng_for(1, *names).integers(97, 123, (count, 6), dtype="uint8")
    return " ".join(bytes(row).decode() for row in letters)


def write(folder, module: str, docstrings: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").touch()
    defs = [f'def {name}():\n    """{text}"""\n' for name, text in docstrings.items()]
    (folder / f"{module}.py").write_text("\n".join(defs), "utf-8")


def unlike(package: str, count: int) -> dict[str, str]:
    return {f"f{n}": f"{words(package, n, 'query', count=6)}\n\n{words(package, n)}" for n in range(count)}


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Packages a and b to train on, c never."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(pydocs, "PACKAGES", {"main": ("pdoc_a", "pdoc_b"), "ood": ("pdoc_c",)})
    for name, count in (("pdoc_a", 150), ("pdoc_b", 50), ("pdoc_c", 40)):
        write(tmp_path / name, "m", unlike(name, count))
    yield tmp_path
    pydocs.extract.cache_clear()


def rows(part="main", size="full"):
    source = pydocs.source(part, size)
    return dict(source.documents()), dict(source.queries()), list(source.judgements())


def test_parts_and_splits(environment):
    documents, queries, judgements = rows()
    assert len(documents) == 200
    assert documents["pdoc_a.m.f7"] == f"pdoc_a.m.f7 {words('pdoc_a', 7)}"
    assert queries["pdoc_a.m.f7"] == words("pdoc_a", 7, "query", count=6)
    assert set(queries) == set(documents)
    assert [(q, d, g) for _, q, d, g in judgements] == [(name, name, 1) for name in documents]
    assert {split for split, *_ in judgements} == {"train", "dev", "test"}


def test_only_some_of_the_other_domain_are_asked(environment):
    documents, queries, judgements = rows("ood")
    assert len(documents) == 40
    assert all(name.startswith("pdoc_c.") for name in documents)
    assert 0 < len(queries) < 20
    assert {split for split, *_ in judgements} == {"test"}
    assert [q for _, q, _, _ in judgements] == list(queries)


def test_shares_of_the_splits():
    names = [f"package.module.name_{n}" for n in range(20_000)]
    shares = {split: n / len(names) for split, n in Counter(pydocs.split_of(i, "main") for i in names).items()}
    assert shares == pytest.approx({"test": 0.05, "dev": 0.025, "train": 0.925}, abs=0.005)
    ood = Counter(pydocs.split_of(i, "ood") for i in names)
    assert ood["test"] / len(names) == pytest.approx(0.1, abs=0.005)
    assert set(ood) == {"test", None}


def test_splits_stay_where_they_were():
    # Fixed for good: other numbers here would move queries from test to train between two versions.
    assert [pydocs.split_of(f"json.f{n}", "main") for n in (0, 31, 2)] == ["train", "dev", "test"]


def test_another_package_moves_nobody(environment, monkeypatch):
    before = {q: split for split, q, *_ in rows()[2]}
    write(environment / "pdoc_d", "m", unlike("pdoc_d", 30))
    monkeypatch.setattr(pydocs, "PACKAGES", {"main": ("pdoc_a", "pdoc_b", "pdoc_d"), "ood": ("pdoc_c",)})
    after = {q: split for split, q, *_ in rows()[2]}
    assert len(after) == 230
    assert before.items() <= after.items()


def test_a_smaller_sample_lies_within_a_larger_one(environment):
    whole, _, judgements = rows()
    ten, thirty = rows(size=10), rows(size="30")
    assert len(ten[0]) == 10
    assert len(thirty[0]) == 30
    assert ten[0].items() < thirty[0].items() < whole.items()
    assert set(ten[2]) < set(thirty[2]) < set(judgements)
    assert [i for i in whole if i in ten[0]] == list(ten[0])
    assert rows(size=10_000)[0] == whole == rows(size="demo")[0]
    # A plain sample: packages come in by their share, not one after the other.
    assert {name.split(".")[0] for name in thirty[0]} == {"pdoc_a", "pdoc_b"}


def test_near_duplicates_and_shared_queries_go(environment):
    text = words("twin", count=30)
    write(
        environment / "pdoc_a",
        "extra",
        {
            "first": f"{words('q1', count=6)}\n\n{text}",
            "asked_twice": f"{words('q2', count=6)}\n\n{words('one')}",
        },
    )
    write(
        environment / "pdoc_c",
        "extra",
        {
            "copy": f"{words('q3', count=6)}\n\n{text} once more",
            "asked_twice": f"{words('q2', count=6).upper()}!\n\n{words('other')}",
        },
    )
    main, ood = rows()[0], rows("ood")[0]
    assert "pdoc_a.extra.first" in main
    assert "pdoc_c.extra.copy" not in ood
    assert len(main) == 201
    assert len(ood) == 40
    counts = pydocs.source("ood").counts()["packages"]["pdoc_c"]
    assert counts == {
        "files": 3,
        "docstrings": 42,
        "near duplicates": 1,
        "query shared by several documents": 1,
        "pairs": 40,
    }


def test_names_defined_again_and_broken_files_are_counted(environment):
    folder = environment / "pdoc_b"
    again = unlike("again", 1)["f0"]
    (folder / "twice.py").write_text(f'def f():\n    """{again}"""\ndef f():\n    """{again} Other."""\n')
    (folder / "broken.py").write_text(f'def f(:\n    """{again}"""\n')
    documents = rows()[0]
    assert documents["pdoc_b.twice.f"] == f"pdoc_b.twice.f {words('again', 0)}"
    counts = pydocs.source().counts()["packages"]["pdoc_b"]
    assert counts["defined again under the same name"] == 1
    assert counts["files unparsable"] == 1
    assert counts["files"] == 3


def test_the_same_environment_gives_the_same_bytes(environment):
    sources = []
    for _ in range(2):
        pydocs.extract.cache_clear()
        source = pydocs.source("main", 50)
        sources.append((source.identity, list(source.documents()), source.counts()))
    assert sources[0] == sources[1]


def test_identity_and_fingerprint_follow_the_files(environment):
    before, whole = pydocs.source(), pydocs.source().counts()["fingerprint"]
    path = environment / "pdoc_a" / "m.py"
    path.write_text(path.read_text("utf-8") + "# a comment\n", "utf-8")
    after = pydocs.source()
    assert after.identity != before.identity
    assert after.counts()["fingerprint"] == whole
    write(environment / "pdoc_a", "extra", unlike("extra", 1))
    assert pydocs.source().counts()["fingerprint"] != whole


def test_load(environment, tmp_path):
    out = load("pydocs#size=60", tmp_path / "out")
    collection = Collection(out)
    documents, queries, _ = rows(size=60)
    assert dict(zip(collection.documents.ids(), collection.documents, strict=True)) == documents
    assert dict(zip(collection.queries.ids(), collection.queries, strict=True)) == queries
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert manifest["spec"]["facts"]["versions"] == {"pdoc_a": "unknown", "pdoc_b": "unknown"}
    assert manifest["counts"]["packages"]["pdoc_a"]["pairs"] == 150
    assert len(manifest["counts"]["fingerprint"]) == 64
    pydocs.extract.cache_clear()
    assert load("pydocs#size=60", out) == out
    assert pydocs.extract.cache_info().currsize == 0, "a finished collection is not read anew"


def test_mistakes(environment, monkeypatch):
    with pytest.raises(SpecError, match=r"unknown part of pydocs 'odd'\nhint: did you mean 'ood'"):
        pydocs.source("odd")
    for size in ("some", 0, "-3", "1.5"):
        with pytest.raises(SpecError, match="the size of pydocs must be"):
            pydocs.source(size=size)
    monkeypatch.setattr(pydocs, "PACKAGES", {"main": ("pdoc_a",), "ood": ("pdoc_missing",)})
    with pytest.raises(DataError, match="not installed: pdoc_missing"):
        pydocs.source()


def test_real_packages(monkeypatch):
    monkeypatch.setattr(pydocs, "PACKAGES", {"main": ("jinja2", "rich"), "ood": ("joblib",)})
    main, ood = pydocs.source(), pydocs.source("ood")
    check_real(main)
    check_real(ood)
    documents, queries = dict(main.documents()), dict(main.queries())
    assert len(documents) > 200
    name = "rich.segment.Segment.adjust_line_length"
    assert queries[name] == "Adjust a line to a given width (cropping or padding as required)."
    pydocs.extract.cache_clear()


def check_real(source):
    documents, queries = dict(source.documents()), dict(source.queries())
    for name, query in queries.items():
        assert FEWEST_QUERY_WORDS <= len(query.split()) <= MOST_QUERY_WORDS
        assert f" {normalised(query)} " not in f" {normalised(documents[name])} "
        assert documents[name].startswith(f"{name} ")
        assert "\n" not in query + documents[name]
    assert len({normalised(query) for query in queries.values()}) == len(queries)
    assert len({text.split(" ", 1)[1] for text in documents.values()}) == len(documents)


@pytest.mark.slow
def test_the_whole_environment():
    pytest.importorskip("networkx")
    main, ood = pydocs.source(), pydocs.source("ood")
    check_real(main)
    check_real(ood)
    assert not set(dict(main.documents())) & set(dict(ood.documents()))
    assert len(list(main.documents())) > 10_000
    assert len(list(ood.documents())) > 3_000
    for part in pydocs.PACKAGES:
        demo = pydocs.source(part, "demo")
        assert len(list(demo.documents())) == pydocs.DEMO_SIZE[part]
        assert 250 < sum(split == "test" for split, *_ in demo.judgements()) < 350
