from __future__ import annotations

import pytest

from rankstill.collection import files_source, folder
from rankstill.errors import DataError


def test_named_files_give_what_the_folder_gives(beir):
    named = files_source.source(beir / "corpus.jsonl", beir / "queries.jsonl", {"test": beir / "qrels" / "test.tsv"})
    found = folder.source(beir)
    assert named.name == found.name
    assert dict(named.files) == dict(found.files)
    for part in ("documents", "queries", "judgements"):
        assert list(getattr(named, part)()) == list(getattr(found, part)())


def test_judgements_may_lack(beir):
    source = files_source.source(beir / "corpus.jsonl", beir / "queries.jsonl", name="mine")
    assert source.name == "mine"
    assert list(source.judgements()) == []
    assert source.lists is None


def test_a_missing_file_shows_at_once(beir):
    with pytest.raises(DataError, match=r"there is no file .*none\.tsv"):
        files_source.source(beir / "corpus.jsonl", beir / "queries.jsonl", {"test": beir / "none.tsv"})


def test_a_folder_where_a_file_should_be(beir):
    with pytest.raises(DataError, match=r"tiny is a folder, not a file"):
        files_source.source(beir, beir / "queries.jsonl")
