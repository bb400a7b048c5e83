"""The command line: the flow's stages in order, and the whole flow in one command.

Each command prints the path of what it wrote to stdout, everything else to stderr, so that commands can be chained.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from rankstill.errors import RankstillError, SpecError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
    help=(
        "Distil a slow, strong ranker into a fast one, and measure which data is worth paying for.\n\n"
        "The stages, in flow order: [bold]load[/] texts and judgements, [bold]sample[/] negatives, [bold]score[/] "
        "pairs by the teacher, [bold]group[/] them into examples, [bold]train[/] a student, [bold]rank[/] with it, "
        "[bold]measure[/] its runs, [bold]report[/]. [bold]distill[/] runs them all; [bold]demo[/] does so on built-in "
        "data."
    ),
)
STAGES, WHOLE, BESIDE = "Stages, in flow order", "The whole flow", "Beside the flow"

Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder to write. A finished one is kept, a killed one continued.")
]
Folder = Annotated[Path, typer.Argument(help="Folder of a loaded collection.", show_default=False)]
Seed = Annotated[int, typer.Option(help="Seed of everything that is drawn.")]
Split = Annotated[str, typer.Option(help="Judged split whose queries train.")]
Teacher = Annotated[
    str,
    typer.Option(help="minilm (embedded), a model, run:FILE, ensemble:[A]+[B], llm:URL#model=M, ...: docs/teachers.md"),
]
Strategy = Annotated[str, typer.Option(help="How negatives are chosen: random, bm25, teacher, ...; NAME#option=value")]
Student = Annotated[str, typer.Option(help="cross-encoder, bi-encoder, or static (a bag of token embeddings).")]
Layers = Annotated[int, typer.Option(help="Transformer layers kept of the start model; 0 keeps all.")]
Start = Annotated[str, typer.Option(help="Model that the student starts from: minilm, a folder, or a hub id.")]
Loss = Annotated[str, typer.Option(help="lce, ranknet, margin_mse, or kl.")]
Size = Annotated[int, typer.Option(help="Documents per group: the positive and size-1 others.")]
Depth = Annotated[int, typer.Option(help="How deep a ranked strategy looks.")]
Temperature = Annotated[float, typer.Option(help="Of the teacher; 0 derives it from the spread of its scores.")]
Rate = Annotated[float, typer.Option("--learning-rate", help="Peak; 0 for the architecture's default.")]
Epochs = Annotated[int, typer.Option(help="How often each group is seen; 0 for the architecture's default.")]
Precision = Annotated[str, typer.Option(help="Of the model's body: auto, float32, bfloat16. Score heads are float32.")]
MaxLength = Annotated[int, typer.Option(help="Tokens at most of a pair (cross-encoder) or a text.")]
OnShort = Annotated[str, typer.Option(help="Queries with too few candidates: refuse, or drop them.")]
Checkpoint = Annotated[float, typer.Option("--checkpoint-every", help="Seconds between checkpoints of the training.")]
Store = Annotated[Path | None, typer.Option(help="Folder of teacher scores kept by text, shared between runs.")]
Correct = Annotated[
    bool, typer.Option("--correct", help="Correct lce or kl for how likely each document was to be drawn.")
]
InBatch = Annotated[
    bool, typer.Option("--in-batch", help="With lce: every document of a batch is a negative for its other queries.")
]
RayAddress = Annotated[
    str,
    typer.Option("--ray", help="Score and encode on a Ray cluster: its address, auto, or local (one started here)."),
]
Workers = Annotated[int, typer.Option(help="Workers on the Ray cluster; 0 for as many as it has processors for.")]
FILTERS = "Filters against false negatives"
Margin = Annotated[
    float | None,
    typer.Option(help="Drop candidates not below the lowest positive less this.", rich_help_panel=FILTERS),
]
Ratio = Annotated[
    float | None,
    typer.Option(help="Drop candidates not below this share of the lowest positive's score.", rich_help_panel=FILTERS),
]
MaxScore = Annotated[
    float | None, typer.Option(help="Drop candidates that the teacher scores higher.", rich_help_panel=FILTERS)
]
SkipRanks = Annotated[
    int, typer.Option(help="Drop the first so many of each query's candidates.", rich_help_panel=FILTERS)
]
Judge = Annotated[
    str, typer.Option(help="Teacher who judges suspicious candidates that are left.", rich_help_panel=FILTERS)
]
JudgeThreshold = Annotated[
    float, typer.Option(help="The judge's score from which a document is relevant.", rich_help_panel=FILTERS)
]
JudgeAction = Annotated[
    str, typer.Option(help="What a relevant one is: drop it, relabel it, or drop-query.", rich_help_panel=FILTERS)
]
Suspicious = Annotated[
    float, typer.Option(help="Judge candidates not below the lowest positive less this.", rich_help_panel=FILTERS)
]


def _done(path: Path) -> None:
    typer.echo(path)


def _option(name: str, value: str, known: tuple[str, ...]) -> Any:
    if value not in known:
        raise SpecError(f"--{name} {value!r} is not known", hint=f"one of: {', '.join(known)}")
    return value


@app.command(rich_help_panel=STAGES)
def load(
    reference: Annotated[
        str | None,
        typer.Argument(
            help="BEIR-like folder, candidates.jsonl, ir_datasets id, or pydocs; options as PATH#key=value,key=value."
        ),
    ] = None,
    out: Out = Path("collection"),
    documents: Annotated[
        Path | None, typer.Option(help="JSONL or TSV file of documents, in place of a reference.")
    ] = None,
    queries: Annotated[Path | None, typer.Option(help="JSONL or TSV file of queries.")] = None,
    qrels: Annotated[list[str] | None, typer.Option(help="Judgements as SPLIT=FILE; repeatable.")] = None,
) -> None:
    """Load texts and judgements into a collection folder."""
    from rankstill.collection.files_source import source as files_source
    from rankstill.collection.load import load as run

    if reference is None:
        if documents is None or queries is None:
            raise SpecError("nothing to load", hint="name a collection, or give --documents and --queries")
        judged = dict(_split_file(item) for item in qrels or [])
        _done(run(files_source(documents, queries, judged), out))
    elif documents or queries or qrels:
        raise SpecError("a collection is named by a reference or by files, not both", hint="leave one of them out")
    else:
        _done(run(reference, out))


def _teacher(reference: str) -> Any:
    # At the call: models take seconds to import, and most commands need none.
    from rankstill.teachers import open_teacher

    return open_teacher(reference)


def _split_file(item: str) -> tuple[str, Path]:
    split, _, path = item.partition("=")
    if not path:
        raise SpecError(f"--qrels {item!r} names no split", hint="write SPLIT=FILE, such as train=qrels.tsv")
    return split, Path(path)


@app.command(rich_help_panel=STAGES)
def sample(
    collection: Folder,
    out: Out = Path("candidates"),
    strategy: Strategy = "bm25",
    negatives: Annotated[int, typer.Option(help="Documents drawn per query.")] = 15,
    depth: Depth = 100,
    seed: Seed = 1,
    split: Split = "train",
    teacher: Annotated[
        str | None, typer.Option(help="Scores the wider list of strategies that choose by its scores.")
    ] = None,
    wider: Annotated[Path | None, typer.Option(help="Scores of that wider list, if they are there already.")] = None,
    store: Store = None,
    limit: Annotated[int, typer.Option("--queries", help="Draw for at most so many queries; 0 for all.")] = 0,
    on_short: OnShort = "refuse",
) -> None:
    """Draw negatives for the training queries, by a strategy."""
    from rankstill.candidates.sample import SampleSpec
    from rankstill.collection.splits import training_split
    from rankstill.collection.store import Collection
    from rankstill.progress import say
    from rankstill.studies.draw import draw

    chosen = training_split(Collection(collection), split=split, limit=limit)
    spec = SampleSpec(
        strategy, negatives, depth, seed, chosen.judged, _option("on-short", on_short, ("refuse", "drop"))
    )
    scorer = _teacher(teacher) if teacher else None
    drawn = draw(collection, spec, chosen.train, out, store=store, teacher=scorer, wider=wider)
    if drawn.collection != collection:
        say(f"{drawn.collection}: the collection with the edited texts, for the stages that follow")
    _done(drawn.candidates)


@app.command(rich_help_panel=STAGES)
def score(
    collection: Folder,
    candidates: Annotated[Path, typer.Argument(help="Folder of the stage sample.", show_default=False)],
    out: Out = Path("scores"),
    teacher: Teacher = "minilm",
    store: Store = None,
    precision: Precision = "auto",
    recheck: Annotated[int, typer.Option(help="Score so many pairs a second time, and say how they differ.")] = 0,
    ray: RayAddress = "",
    workers: Workers = 0,
) -> None:
    """Score candidates and positives by the teacher, each pair once."""
    from rankstill.collection.splits import positives_of
    from rankstill.collection.store import Collection
    from rankstill.files import read_manifest
    from rankstill.parallel import on_ray
    from rankstill.records import Pairs
    from rankstill.students.train import set_threads
    from rankstill.teachers import open_teacher
    from rankstill.teachers import score as run

    set_threads()
    drawn = Pairs.read(candidates / "candidates.parquet")
    positives = positives_of(Collection(collection), read_manifest(candidates, "sample")["spec"]["split"], drawn.query)
    opened = open_teacher(teacher, precision=_option("precision", precision, PRECISIONS))
    with on_ray(ray, workers):
        done = run(collection, [drawn, positives], opened, out, store=store, recheck=recheck)
    _done(done)


PRECISIONS = ("auto", "float32", "bfloat16")


@app.command(rich_help_panel=STAGES)
def group(
    collection: Folder,
    candidates: Annotated[Path, typer.Argument(help="Folder of the stage sample.", show_default=False)],
    scores: Annotated[Path, typer.Argument(help="Folder of the stage score.", show_default=False)],
    out: Out = Path("groups"),
    size: Size = 16,
    seed: Seed = 1,
    on_short: OnShort = "refuse",
    margin: Margin = None,
    ratio: Ratio = None,
    max_score: MaxScore = None,
    skip_ranks: SkipRanks = 0,
    judge: Judge = "",
    judge_threshold: JudgeThreshold = 0.5,
    judge_action: JudgeAction = "drop",
    suspicious: Suspicious = 0.0,
    store: Store = None,
) -> None:
    """Build training examples: a query, its positive, and others, with the teacher's scores."""
    from rankstill.files import read_manifest
    from rankstill.groups.build import GroupSpec, build_groups
    from rankstill.groups.filters.rules import FilterSpec, judge_spec

    asked = judge_spec(judge, judge_threshold, judge_action, suspicious)
    filters = FilterSpec(skip_ranks, max_score, margin, ratio, asked)
    split = read_manifest(candidates, "sample")["spec"]["split"]
    spec = GroupSpec(size, seed, split, _option("on-short", on_short, ("refuse", "drop")), filters)
    opened = _teacher(judge) if judge else None
    _done(build_groups(collection, candidates, scores, out, spec, judge=opened, store=store))


@app.command(rich_help_panel=STAGES)
def train(
    collection: Folder,
    groups: Annotated[Path, typer.Argument(help="Folder of the stage group.", show_default=False)],
    out: Out = Path("model"),
    student: Student = "cross-encoder",
    layers: Layers = 3,
    start: Start = "minilm",
    loss: Loss = "kl",
    temperature: Temperature = 0.0,
    student_temperature: Annotated[float, typer.Option(help="0 for the architecture's own.")] = 0.0,
    epochs: Epochs = 0,
    learning_rate: Rate = 0.0,
    correct: Correct = False,
    in_batch: InBatch = False,
    max_length: MaxLength = 256,
    seed: Seed = 1,
    precision: Precision = "auto",
    checkpoint_every: Checkpoint = 30.0,
) -> None:
    """Train a student on groups; the result loads in sentence-transformers."""
    from rankstill.measures.entropy import default_temperature
    from rankstill.records import Groups
    from rankstill.students.architectures import ARCHITECTURES, StudentSpec
    from rankstill.students.train import set_threads
    from rankstill.students.train import train as run
    from rankstill.students.train_spec import TrainSpec

    set_threads()
    made_of = StudentSpec(_option("student", student, ARCHITECTURES), start, layers, max_length)
    spec = TrainSpec(
        made_of,
        loss,
        temperature or default_temperature(Groups.read(groups / "groups.parquet").score),
        student_temperature,
        epochs,
        learning_rate=learning_rate,
        seed=seed,
        precision=_option("precision", precision, PRECISIONS),
        correct=correct,
        in_batch=in_batch,
    )
    _done(run(collection, groups, out, spec, checkpoint_every=checkpoint_every))


@app.command(rich_help_panel=STAGES)
def rank(
    collection: Folder,
    model: Annotated[str | None, typer.Argument(help="Model that reranks; none makes the first stage.")] = None,
    out: Out = Path("run"),
    lists: Annotated[Path | None, typer.Option(help="Folder of a run to rerank.")] = None,
    split: Annotated[str, typer.Option(help="Judged split whose queries are ranked.")] = "test",
    depth: Annotated[int, typer.Option(help="Documents per query of a first stage.")] = 100,
    tag: Annotated[str, typer.Option(help="Name of the run in TREC form.")] = "rankstill",
    precision: Precision = "auto",
) -> None:
    """Rank: without a model the first stage (given lists, or BM25), with one its reranking of --lists."""
    from rankstill.collection.store import Collection
    from rankstill.models import resolve_model
    from rankstill.runs.first_stage import FirstStageSpec, first_stage
    from rankstill.runs.rank import RankSpec
    from rankstill.runs.rank import rank as run
    from rankstill.students.train import set_threads

    set_threads()
    if model is None:
        queries = Collection(collection).qrels(split).queries()
        _done(first_stage(collection, queries, out, FirstStageSpec(depth)))
        return
    if lists is None:
        raise SpecError(
            "a model reranks lists, and none were given", hint="make them: rankstill rank COLLECTION --out first"
        )
    spec = RankSpec(tag, _option("precision", precision, PRECISIONS))
    _done(run(collection, lists, Path(resolve_model(model)), out, spec))


@app.command(rich_help_panel=STAGES)
def measure(
    collection: Folder,
    runs: Annotated[
        list[str], typer.Argument(help="Runs as NAME=FOLDER; the first is the baseline.", show_default=False)
    ],
    out: Out = Path("measures"),
    split: Annotated[str, typer.Option(help="Judged split.")] = "test",
    measures: Annotated[
        str, typer.Option(help="Measures in ir_measures' notation.")
    ] = "nDCG@10 RR@10 AP R@100 Judged@10",
    seed: Seed = 1,
) -> None:
    """Measure runs per query, with 95% intervals and paired differences from the first run."""
    from rich.console import Console

    from rankstill.measures.measure import MeasureSpec
    from rankstill.measures.measure import measure as run
    from rankstill.studies.evaluate import read_results
    from rankstill.studies.table import results_table

    named = {}
    for item in runs:
        name, _, path = item.partition("=")
        name, path = (name, path) if path else (Path(item).name, item)
        if name in named:
            raise SpecError(f"two runs have the name {name!r}", hint="name them: NAME=FOLDER")
        named[name] = Path(path)
    spec = MeasureSpec(split, next(iter(named)), tuple(measures.split()), seed)
    done = run(collection, named, out, spec)
    Console(stderr=True).print(results_table(read_results(done)))
    _done(done)


@app.command(rich_help_panel=STAGES)
def report(
    folder: Annotated[Path, typer.Argument(help="Output folder of distill or demo.", show_default=False)],
) -> None:
    """Write the report of a finished distillation anew, and print its tables."""
    import json

    from rankstill.errors import DataError
    from rankstill.studies.report import write_report

    path = folder / "summary.json"
    if not path.is_file():
        raise DataError(f"{folder} has no summary.json", hint="run `rankstill distill` or `rankstill demo` to the end")
    summary = json.loads(path.read_text("utf-8"))
    _print_tables(summary)
    _done(write_report(summary, folder / "report.html"))


def _print_tables(summary: dict[str, Any]) -> None:
    from rankstill.progress import console
    from rankstill.studies.table import print_table

    print_table(summary, console)


@app.command(rich_help_panel=WHOLE)
def distill(
    collection: Annotated[str, typer.Option(help="What to train on: a folder, file, ir_datasets id, or pydocs.")],
    out: Out,
    teacher: Teacher = "minilm",
    student: Student = "cross-encoder",
    layers: Layers = 3,
    start: Start = "minilm",
    strategy: Strategy = "bm25",
    loss: Loss = "kl",
    test: Annotated[
        list[str] | None, typer.Option(help="Collection or candidate list to evaluate on; repeatable.")
    ] = None,
    split: Split = "train",
    limit: Annotated[int, typer.Option("--queries", help="Train on at most so many queries; 0 for all.")] = 0,
    size: Size = 16,
    depth: Depth = 100,
    temperature: Temperature = 0.0,
    student_temperature: Annotated[float, typer.Option(help="0 for the architecture's own.")] = 0.0,
    epochs: Epochs = 0,
    learning_rate: Rate = 0.0,
    correct: Correct = False,
    in_batch: InBatch = False,
    documents: Annotated[int, typer.Option(help="Stop training after about so many documents; 0: whole epochs.")] = 0,
    batch_groups: Annotated[int, typer.Option(help="Groups per training step; 0 for the default.")] = 0,
    max_length: MaxLength = 256,
    seed: Seed = 1,
    precision: Precision = "auto",
    on_short: OnShort = "refuse",
    margin: Margin = None,
    ratio: Ratio = None,
    max_score: MaxScore = None,
    skip_ranks: SkipRanks = 0,
    judge: Judge = "",
    judge_threshold: JudgeThreshold = 0.5,
    judge_action: JudgeAction = "drop",
    suspicious: Suspicious = 0.0,
    spare: Annotated[
        int,
        typer.Option(
            help="Candidates drawn beyond a group's, for the filters to take from; 0: as many again if there are any.",
            rich_help_panel=FILTERS,
        ),
    ] = 0,
    headline: Annotated[str, typer.Option(help="Measure that leads the tables and chooses on dev.")] = "nDCG@10",
    checkpoint_every: Checkpoint = 30.0,
    ray: RayAddress = "",
    workers: Workers = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and what it would cost.")] = False,
) -> None:
    """Distil a student from a teacher on your own data, evaluate it, and write a report."""
    from rankstill.groups.filters.rules import FilterSpec, judge_spec
    from rankstill.parallel import on_ray
    from rankstill.students.architectures import ARCHITECTURES, StudentSpec
    from rankstill.studies.distill import DistillSpec
    from rankstill.studies.distill import distill as run
    from rankstill.studies.estimate import print_plan

    spec = DistillSpec(
        collection=collection,
        teacher=teacher,
        student=StudentSpec(_option("student", student, ARCHITECTURES), start, layers, max_length),
        strategy=strategy,
        loss=loss,
        tests=tuple(test or ()),
        split=split,
        queries=limit,
        size=size,
        depth=depth,
        seed=seed,
        temperature=temperature,
        student_temperature=student_temperature,
        epochs=epochs,
        documents=documents,
        batch_groups=batch_groups,
        learning_rate=learning_rate,
        precision=_option("precision", precision, PRECISIONS),
        correct=correct,
        in_batch=in_batch,
        headline=headline,
        on_short=_option("on-short", on_short, ("refuse", "drop")),
        filters=FilterSpec(
            skip_ranks, max_score, margin, ratio, judge_spec(judge, judge_threshold, judge_action, suspicious)
        ),
        judge=judge,
        spare=spare,
    )
    if dry_run:
        print_plan(spec)
        return
    with on_ray(ray, workers):
        done = run(spec, out, command=_command(), checkpoint_every=checkpoint_every)
    _print_tables(done.summary)
    _report_at(done.report)
    _done(done.model)


@app.command(rich_help_panel=WHOLE)
def diagnose(
    collection: Annotated[str, typer.Option(help="As for distill.")],
    out: Out,
    strategy: Annotated[list[str], typer.Option(help="A strategy to diagnose; repeatable.", show_default=False)],
    teacher: Teacher = "minilm",
    model: Annotated[str, typer.Option(help="Bi-encoder in whose space distances are taken.")] = "minilm",
    split: Split = "train",
    limit: Annotated[int, typer.Option("--queries", help="Diagnose at most so many queries; 0 for all.")] = 20_000,
    size: Size = 16,
    depth: Depth = 100,
    target_depth: Annotated[int, typer.Option(help="Documents per query that the student will rerank.")] = 100,
    budget: Annotated[
        str, typer.Option(help="What a strategy may cost: NUMBER and groups, calls, seconds or money. [all queries]")
    ] = "",
    price: Annotated[float | None, typer.Option(help="Money for a teacher's call.")] = None,
    temperature: Temperature = 0.0,
    delta: Annotated[float, typer.Option(help="Probability with which any bound may fail.")] = 0.05,
    worth: Annotated[
        float, typer.Option(help="Share of what is at stake below which a difference is not worth paying for.")
    ] = 0.02,
    seed: Seed = 1,
    on_short: OnShort = "drop",
    precision: Precision = "auto",
) -> None:
    """Say before training what each strategy's negatives are worth: locality, entropy, shift, bounds, cost, advice."""
    from rankstill.progress import console
    from rankstill.studies.diagnosis.diagnose import diagnose as run
    from rankstill.studies.diagnosis.pages import write_diagnosis
    from rankstill.studies.diagnosis.spec import Budget, DiagnoseSpec
    from rankstill.studies.diagnosis.tables import print_diagnosis

    spec = DiagnoseSpec(
        collection,
        tuple(strategy),
        teacher,
        model,
        split,
        limit,
        size,
        depth,
        target_depth,
        Budget.parse(budget) if budget else None,
        price,
        temperature,
        delta,
        worth,
        seed,
        _option("on-short", on_short, ("refuse", "drop")),
        _option("precision", precision, PRECISIONS),
    )
    found = run(spec, out, command=_command())
    print_diagnosis(found, console)
    _done(write_diagnosis(found, out / "diagnosis.html"))


@app.command(rich_help_panel=WHOLE)
def explain(
    model: Annotated[
        Path, typer.Argument(help="Model inside the output of distill or demo that made it.", show_default=False)
    ],
    out: Out = Path("explanation"),
    diagnosis: Annotated[
        Path | None, typer.Option(help="Output of diagnose, to set its predictions beside the facts.")
    ] = None,
    groups: Annotated[int, typer.Option(help="Seen groups scored by the student at most, and as many unseen.")] = 300,
    delta: Annotated[float, typer.Option(help="Probability with which a bound may fail.")] = 0.05,
    seed: Seed = 1,
) -> None:
    """Say after training why a student is as it is: where it follows its teacher, where not, and since when."""
    from rankstill.progress import console
    from rankstill.studies.diagnosis.explain import ExplainSpec
    from rankstill.studies.diagnosis.explain import explain as run
    from rankstill.studies.diagnosis.pages import write_explanation
    from rankstill.studies.diagnosis.tables import print_explanation

    found = run(model, out, ExplainSpec(groups, delta, seed), diagnosis=diagnosis)
    print_explanation(found, console)
    _done(write_explanation(found, out / "explanation.html"))


@app.command("train-teacher", rich_help_panel=WHOLE)
def train_teacher(
    collection: Annotated[str, typer.Argument(help="What to train on: a folder, file, ir_datasets id, or pydocs.")],
    out: Out,
    start: Annotated[str, typer.Option(help="Pretrained model: minilm, a folder, or a hub id.")] = "minilm",
    strategy: Strategy = "bm25",
    test: Annotated[
        list[str] | None, typer.Option(help="Collection or candidate list to evaluate on; repeatable.")
    ] = None,
    split: Split = "train",
    limit: Annotated[int, typer.Option("--queries", help="Train on at most so many queries; 0 for all.")] = 0,
    size: Size = 16,
    depth: Depth = 100,
    epochs: Epochs = 0,
    learning_rate: Rate = 0.0,
    batch_groups: Annotated[int, typer.Option(help="Groups per training step; 0 for the default.")] = 0,
    max_length: MaxLength = 256,
    seed: Seed = 1,
    precision: Precision = "auto",
    on_short: OnShort = "refuse",
    checkpoint_every: Checkpoint = 30.0,
) -> None:
    """Train a cross-encoder on judgements alone (LCE, BM25 negatives), to be used as a teacher."""
    from rankstill.studies.train_teacher import TrainTeacherSpec, print_results
    from rankstill.studies.train_teacher import train_teacher as run

    spec = TrainTeacherSpec(
        collection,
        start,
        strategy,
        tuple(test or ()),
        split,
        limit,
        size,
        depth,
        epochs,
        learning_rate,
        batch_groups,
        max_length,
        seed,
        _option("precision", precision, PRECISIONS),
        _option("on-short", on_short, ("refuse", "drop")),
    )
    done = run(spec, out, checkpoint_every=checkpoint_every)
    print_results(done)
    _done(done.model)


@app.command(rich_help_panel=WHOLE)
def demo(
    out: Out = Path("demo"),
    seed: Seed = 1,
) -> None:
    """Run the whole flow on the documentation of this Python environment, in minutes, and write a report."""
    from rankstill.studies.demo import demo as run

    done = run(out, seed=seed, command=_command())
    _print_tables(done.summary)
    _report_at(done.report)
    _done(done.model)


def _report_at(path: Path) -> None:
    from rankstill.progress import say

    say(f"report: {path.resolve()}")


def _command() -> str:
    import shlex

    return shlex.join(["rankstill", *sys.argv[1:]])


@app.command(rich_help_panel=BESIDE)
def audit(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Output folder of distill or demo, or folders of load, sample, group.")
    ] = None,
    collection: Annotated[str | None, typer.Option(help="What trains: a loaded folder, or a reference.")] = None,
    test: Annotated[
        list[str] | None, typer.Option(help="What tests: a loaded folder, or a reference; repeatable.")
    ] = None,
    split: Split = "train",
    document_similarity: Annotated[
        float, typer.Option(help="Jaccard similarity of three-word runs from which documents are alike.")
    ] = 0.8,
    query_similarity: Annotated[
        float, typer.Option(help="Jaccard similarity of words from which queries are alike.")
    ] = 0.8,
    model: Annotated[list[str] | None, typer.Option(help="Model whose length counts, too; repeatable.")] = None,
    max_length: Annotated[int, typer.Option(help="Tokens that models read; 0: as their folders say.")] = 0,
    skip: Annotated[list[str] | None, typer.Option(help="Check to leave out; repeatable.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 where anything was found.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; audit.json in the output folder, or here.")
    ] = None,
) -> None:
    """Look for false negatives, contamination, duplicates, empty and cut-off texts."""
    from rankstill.groups.audit.run import AuditSpec, audit_command, found_any

    spec = AuditSpec(document_similarity, query_similarity, tuple(model or ()), max_length, skip=tuple(skip or ()))
    summary, path = audit_command(folders or [], collection, test or [], split, spec, out)
    _done(path)
    if strict and found_any(summary):
        raise typer.Exit(1)


@app.command(rich_help_panel=WHOLE)
def rerank(
    model: Annotated[str, typer.Argument(help="Model's folder, hub id, or minilm.", show_default=False)],
    precision: Precision = "auto",
) -> None:
    """Rerank lines of JSON from stdin, each a query with its documents (see the README)."""
    from rankstill.runs.rerank import rerank_lines

    for line in rerank_lines(sys.stdin, model, _option("precision", precision, PRECISIONS)):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


scores = typer.Typer(no_args_is_help=True, help="Look after a store of scores: list, check, tidy, export, throw away.")
app.add_typer(scores, name="scores", rich_help_panel=BESIDE)
Kept = Annotated[Path, typer.Argument(help="Folder of scores: --store, or OUT/store.", show_default=False)]
OneTeacher = Annotated[str, typer.Option("--teacher", help="Only the teacher whose fingerprint begins so.")]


def _lines(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


@scores.command("ls")
def scores_ls(store: Kept) -> None:
    """List the teachers of a store, with how many pairs they scored."""
    from rankstill.teachers.store_commands import ls_lines

    _lines(ls_lines(store))


@scores.command("verify")
def scores_verify(store: Kept, teacher: OneTeacher = "") -> None:
    """Check every file of scores against its checksum; the exit code is 1 where one is damaged."""
    from rankstill.teachers.store_commands import verify_lines

    _lines(verify_lines(store, teacher))


@scores.command("compact")
def scores_compact(store: Kept, teacher: OneTeacher = "") -> None:
    """Merge many files of scores into few, for faster lookups; other processes may go on."""
    from rankstill.teachers.store_commands import compact_lines

    _lines(compact_lines(store, teacher))


@scores.command("export")
def scores_export(
    store: Kept,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write, .parquet or .tsv.")],
    collection: Annotated[
        Path | None, typer.Option(help="Only pairs of this collection, by their ids; without it all, by hash keys.")
    ] = None,
    teacher: OneTeacher = "",
) -> None:
    """Write a teacher's scores as a table."""
    from rankstill.teachers.store_commands import export_scores

    export_scores(store, out, teacher, collection)
    _done(out)


@scores.command("gc")
def scores_gc(
    store: Kept,
    teacher: Annotated[list[str] | None, typer.Option(help="Beginning of a fingerprint; repeatable.")] = None,
    older_than: Annotated[float | None, typer.Option(help="Teachers without a new score for so many days.")] = None,
    keep_only: Annotated[
        list[Path] | None, typer.Option(help="Collection whose pairs stay, all others go; repeatable.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it only says what would go.")] = False,
) -> None:
    """Throw scores away: of teachers, or of pairs that no given collection has."""
    from rankstill.teachers.store_commands import gc_lines

    _lines(gc_lines(store, teacher or [], older_than, keep_only or [], really=yes))


_INTERRUPTED = 130


def main() -> None:
    """Run the command line; turn deliberate errors into two lines on stderr."""
    from rich.markup import escape

    from rankstill.progress import console

    try:
        app()
    except RankstillError as error:
        # One line each, also where a library's message has several.
        console.print(f"[bold red]error[/]: {escape(' '.join(error.message.split()))}", soft_wrap=True)
        if error.hint:
            console.print(f"[bold]hint[/]: {escape(' '.join(error.hint.split()))}", soft_wrap=True)
        sys.exit(2 if isinstance(error, SpecError) else 1)
    except SystemExit as end:
        # What click turns a KeyboardInterrupt into.
        if end.code == _INTERRUPTED:
            console.print("interrupted; the same command continues where it stopped")
        raise


if __name__ == "__main__":
    main()
