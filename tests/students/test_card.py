"""The cards of a trained student say what made it."""

import json

import pytest

from rankstill.files import read_manifest, versions
from rankstill.students.train import train
from tests.students.examples import ARCHITECTURES, train_spec


@pytest.fixture(scope="module", params=ARCHITECTURES)
def trained(request, tmp_path_factory, start, collection, groups):
    spec = train_spec(start, request.param, "lce", temperature=0.25, seed=7)
    return spec, train(collection.path, groups, tmp_path_factory.mktemp("trained") / "m", spec)


def test_the_card_for_programs(trained, collection, groups):
    spec, folder = trained
    card = json.loads((folder / "rankstill.json").read_text())
    assert (card["collection"], card["strategy"], card["teacher"]) == ("words", "bm25", "made up")
    assert card["spec"]["loss"] == "lce"
    assert (card["spec"]["seed"], card["spec"]["temperature"]) == (7, 0.25)
    assert card["spec"]["student"]["architecture"] == spec.student.architecture
    assert card["group_size"] == 4
    assert card["counts"] == read_manifest(folder)["counts"]
    assert card["counts"]["documents_seen"] == 3 * 11 * 4
    assert card["counts"]["parameters"] > 500
    assert card["versions"] == versions()
    expected = {"collection": read_manifest(collection.path), "groups": read_manifest(groups)}
    assert card["fingerprints"] == {name: manifest["fingerprint"] for name, manifest in expected.items()}


def test_the_card_for_people(trained):
    spec, folder = trained
    text = (folder / "README.md").read_text()
    loader = "CrossEncoder" if spec.student.architecture == "cross-encoder" else "SentenceTransformer"
    assert f"from sentence_transformers import {loader}\n" in text
    assert f"# {spec.student.name.capitalize()}, distilled with rankstill" in text
    table = dict(
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    )
    assert table["data"] == "words (11 groups of 4, 132 documents seen)"
    assert table["negatives"] == "bm25"
    assert table["loss"] == "lce, temperature 0.25"
    assert table["teacher"] == "made up"
    assert table["start"] == spec.student.start
    assert table["seed"] == "7"


def test_the_folder_holds_the_model_and_its_papers_only(trained):
    spec, folder = trained
    names = {p.name for p in folder.iterdir()}
    papers = {"README.md", "rankstill.json", "training.parquet", "manifest.json", "cost.json"}
    assert papers <= names
    assert not names & {"tokens", "checkpoint.safetensors", "stage.json"}
    loaded = {"modules.json", "config_sentence_transformers.json", "config.json", "tokenizer.json"}
    if spec.student.architecture != "static":
        assert loaded & names
    assert not [n for n in names if n.endswith((".part", ".plain", ".bin"))]
