from rankstill.studies.diagnosis.names import short_names, shortened


def test_folders_are_left_out_wherever_a_file_stands():
    names = ["ensemble:a/b/*.trec#depth=9", "mixture:(run:/x/y.trec#skip=3)*0.5+random*0.5", "bm25"]
    assert list(short_names(names).values()) == [
        "ensemble:*.trec#depth=9",
        "mixture:(run:y.trec#skip=3)*0.5+random*0.5",
        "bm25",
    ]


def test_names_that_would_become_one_stay_as_they_are():
    names = ["run:a/x.trec", "run:b/x.trec"]
    assert short_names(names) == dict(zip(names, names, strict=True))


def test_a_diagnosis_is_shortened_but_for_what_made_it():
    found = {
        "strategies": [{"name": "run:a/x.trec"}, {"name": "run:a/x.trec#skip=1"}],
        "advice": "Use run:a/x.trec#skip=1, not run:a/x.trec.",
        "spec": {"strategies": ["run:a/x.trec"]},
        "command": "rankstill diagnose --strategy run:a/x.trec",
        "queries": 3,
    }
    short = shortened(found)
    assert [s["name"] for s in short["strategies"]] == ["run:x.trec", "run:x.trec#skip=1"]
    assert short["advice"] == "Use run:x.trec#skip=1, not run:x.trec."
    assert short["spec"] == found["spec"]
    assert short["command"] == found["command"]
    assert short["queries"] == 3
