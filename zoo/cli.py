"""The command ``zoo``: methods and their cards, checks of one's own, and experiments."""

import argparse
import contextlib
import dataclasses
import importlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from zoo import __version__, registry
from zoo.contract.equations import readable, with_readable

__all__ = ["main"]


class _Mistake(Exception):
    """What the user gave cannot be used; the message is one sentence."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Mistake(f"{message}; `{self.prog} --help` shows the usage.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="zoo", description="Methods that are scikit-learn estimators.")
    parser.add_argument("--version", action="version", version=f"zoo {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list the methods", description="List the methods.")
    listing.add_argument("--role", help="such as classifier, regressor, sampler, detector, agent")
    listing.add_argument("--input", help="such as table, images, series, text, pairs, env")
    listing.add_argument("--capability", help="such as sparse, missing_values, partial_fit, gpu")
    listing.add_argument("--json", action="store_true", help="print JSON, with everything known")
    listing.set_defaults(run=_list)

    show = commands.add_parser("show", help="show the card of a method", description="Show a card.")
    show.add_argument("name", metavar="NAME", help="a method, such as Ridge")
    show.set_defaults(run=_show)

    new = commands.add_parser(
        "new",
        help="write a first spec for some data",
        description="Look at data and write a commented spec for them.",
    )
    new.add_argument(
        "data", metavar="DATA", help="a csv, parquet or npz file, a folder of pictures, or load_iris ..."
    )
    new.add_argument("--target", metavar="COLUMN", help="the column to predict; guessed when left out")
    new.add_argument("--out", metavar="FILE", help="where to write it; the terminal when left out")
    new.set_defaults(run=_new)

    schema = commands.add_parser(
        "schema",
        help="print the JSON Schema of a spec",
        description="Print the JSON Schema of a spec, with which editors complete and check it.",
    )
    schema.set_defaults(run=_schema)

    check = commands.add_parser(
        "check",
        help="run the conformance suite on an estimator of yours",
        description="Run the conformance suite on an estimator; exit code 1 when it fails.",
    )
    check.add_argument("target", metavar="module:Class", help="looked up from the current folder")
    check.set_defaults(run=_check)
    _add_experiments(commands)
    return parser


def _add_experiments(commands: Any) -> None:
    running = commands.add_parser(
        "run",
        help="fit what a spec asks for, into a folder",
        description="Fit what a spec asks for; a run that was stopped goes on. Exit code 1 when every model "
        "failed, 130 when it was interrupted.",
    )
    running.add_argument("file", metavar="FILE", help="the spec, a YAML file")
    running.add_argument("--out", metavar="DIR", help="the folder; results/NAME-OF-THE-FILE by default")
    running.add_argument("--data", metavar="DIR", help="where the data files lie; beside the spec by default")
    running.add_argument("--fresh", action="store_true", help="forget what an earlier run left there")
    running.add_argument("--dry", action="store_true", help="say what would be fitted, and fit nothing")
    running.add_argument("--jobs", type=int, metavar="N", help="fits at a time; -1 is all processors")
    running.set_defaults(run=_run)

    compare = commands.add_parser(
        "compare", help="put finished runs side by side", description="Put finished runs side by side."
    )
    compare.add_argument("folders", metavar="DIR", nargs="+", help="folders of runs")
    compare.set_defaults(run=_compare)

    predict = commands.add_parser(
        "predict", help="predict the rows of a file", description="Predict rows with the model of a run."
    )
    predict.add_argument("model", metavar="MODEL", help="the folder of a run, or the model.zoo in it")
    predict.add_argument("data", metavar="DATA", help="a csv or parquet file")
    predict.add_argument("--out", metavar="FILE", help="write a csv file; to the standard output without")
    predict.set_defaults(run=_predict)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 (something failed), 2 (a mistake), 130 (Ctrl-C).

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process when None.
    """
    try:
        arguments = _parser().parse_args(argv)
        code: int = arguments.run(arguments)
        # Here, where a reader that went away can still be noticed.
        sys.stdout.flush()
        return code
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    except _Mistake as mistake:
        print(f"zoo: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # `zoo list | head -1`: nobody reads on, and the interpreter must not try to flush either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


# -- the commands -----------------------------------------------------------------------------


def _list(arguments: argparse.Namespace) -> int:
    try:
        rows = registry.entries(arguments.role, arguments.input, arguments.capability)
    except ValueError as error:
        raise _Mistake(str(error)) from error
    if arguments.json:
        _print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    if not rows:
        _print("No method fits all of this.")
        return 0
    table = [
        (row["name"], ", ".join(row["roles"]), row["input"], row["summary"])
        for row in [{"name": "name", "roles": ["role"], "input": "input", "summary": ""}, *rows]
    ]
    widths = [max(len(line[i]) for line in table) for i in range(3)]
    # A pipe gets whole lines: whoever reads there may want to search them.
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in table:
        text = "  ".join(f"{cell:{w}}" for cell, w in zip(line, [*widths, 0], strict=True)).rstrip()
        _print(text if limit is None or len(text) <= limit else text[: limit - 1] + "…")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    try:
        card = registry.card(arguments.name)
    except ValueError as error:
        raise _Mistake(str(error)) from error
    texts = {
        name: with_readable(getattr(card, name)) for name in ("summary", "description", "notes")
    }
    parameters = tuple(
        dataclasses.replace(p, meaning=with_readable(p.meaning)) for p in card.parameters
    )
    equations = tuple(readable(equation) for equation in card.equations)
    _print(str(dataclasses.replace(card, equations=equations, parameters=parameters, **texts)))
    return 0


def _new(arguments: argparse.Namespace) -> int:
    from zoo.experiment.spec import SpecError, propose

    out = arguments.out
    if out is not None and os.path.lexists(out):
        raise _Mistake(f"{out} exists already; give another file, or delete it.")
    if out is not None and not os.path.isdir(os.path.dirname(out) or "."):
        raise _Mistake(f"{out} cannot be written: there is no such folder; make it, or give another file.")
    try:
        text = propose(arguments.data, arguments.target, folder=os.path.dirname(out) if out else None)
    except SpecError as error:
        raise _Mistake(str(error)) from error
    if out is None:
        _print(text.rstrip())
        return 0
    try:
        with open(out, "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise _Mistake(f"{out} cannot be written ({error.strerror}); give another file.") from error
    _print(f"{out} is written; `zoo run {out}` runs it.")
    return 0


def _schema(arguments: argparse.Namespace) -> int:
    from zoo.experiment.spec import schema

    _print(json.dumps(schema(), indent=1, ensure_ascii=False))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    # Read when scipy is first imported; without it check_estimator leaves checks out.
    os.environ.setdefault("SCIPY_ARRAY_API", "1")
    cls = _find_class(arguments.target)
    from zoo import conformance

    try:
        estimator = conformance.instance(cls)
    except TypeError as error:
        raise _Mistake(
            f"{cls.__name__} cannot be made without arguments ({_one_line(error)}); call "
            "zoo.conformance.check with an object from Python instead."
        ) from error

    report = conformance.check(estimator)
    _print(str(report))
    return 0 if report.ok else 1


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turn what experiments refuse into one sentence, and warnings into one line each."""
    import warnings

    from zoo.contract.params import ParameterError
    from zoo.experiment import ExperimentError
    from zoo.experiment.spec import SpecError
    from zoo.persist import ZooFileError

    def say(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"zoo: warning: {' '.join(str(message).split())}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = say
        try:
            yield
        except (ExperimentError, ParameterError, SpecError, ZooFileError, ImportError) as error:
            raise _Mistake(str(error)) from error


def _run(arguments: argparse.Namespace) -> int:
    from zoo import experiment

    if arguments.jobs == 0:
        raise _Mistake("--jobs 0 is not accepted; give a number of processes, or -1 for all processors.")
    with _refusals():
        if arguments.dry:
            _print(experiment.outline(arguments.file, data=arguments.data))
            return 0
        out = Path(arguments.out or Path("results", Path(arguments.file).stem))
        result = experiment.run(
            arguments.file, out, data=arguments.data, fresh=arguments.fresh, n_jobs=arguments.jobs
        )
    findings = result.findings
    for title, lines in (("warned", _warned(findings)), ("note", findings["notes"])):
        for line in lines:
            print(f"zoo: {title}: {' '.join(line.split())}", file=sys.stderr)
    _print_leaderboard(findings)
    page = out / "report.html"
    _print(f"{findings['seconds']:.0f} s. " + (f"Report: {page}" if page.exists() else f"Results: {out}"))
    if findings["interrupted"]:
        print("zoo: interrupted; the same command goes on from here.", file=sys.stderr)
        return 130
    return 0 if findings["winner"] else 1


def _warned(findings: dict[str, Any]) -> list[str]:
    return [
        f"{model}: {text} ({count} times)"
        for model, texts in findings["warnings"].items()
        for text, count in texts.items()
    ]


def _print_leaderboard(findings: dict[str, Any]) -> None:
    metrics = [m["name"] for m in findings["metrics"]]
    if not sys.stdout.isatty():
        for line in _lines(_cells(findings, metrics)):
            _print(line)
        return
    from rich.console import Console
    from rich.table import Table

    # As many metrics as there is room for; the report has all of them.
    console = Console()
    while len(metrics) > 1 and len(_lines(_cells(findings, metrics))[0]) > console.width:
        metrics.pop()
    head, *rows = _cells(findings, metrics)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for i, title in enumerate(head):
        table.add_column(title, justify="left" if i < 3 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _cells(findings: dict[str, Any], metrics: list[str]) -> list[list[str]]:
    """Return the leaderboard as text, its head first; the row of a failed model ends with its error."""
    has_test = any(row["test"] for row in findings["leaderboard"])
    table = [["", "model", *metrics, *(f"test {m}" for m in metrics if has_test), "fit"]]
    for row in findings["leaderboard"]:
        if row["status"] != "ok":
            table.append([str(row["rank"]), row["model"], f"failed: {row['error']}"])
            continue
        scores = [row["scores"][m] for m in metrics]
        cells = [_number(s["mean"]) for s in scores]
        if scores[0]["low"] is not None:
            cells[0] += f" ({_number(scores[0]['low'])} to {_number(scores[0]['high'])})"
        tests = [_number((row["test"] or {}).get(m)) for m in metrics if has_test]
        table.append([str(row["rank"]), row["model"], *cells, *tests, f"{row['fit_seconds']:.3g} s"])
    return table


def _lines(table: list[list[str]]) -> list[str]:
    full = [row for row in table if len(row) == len(table[0])]
    widths = [max(len(row[i]) for row in full) for i in range(len(table[0]))]
    return ["  ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=False)).rstrip() for row in table]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _compare(arguments: argparse.Namespace) -> int:
    from zoo import experiment

    with _refusals():
        table = experiment.compare(arguments.folders)
    _print(table.to_string(float_format=lambda v: f"{v:.4f}", na_rep="-"))
    for sentence in table.attrs["differences"]:
        _print(sentence)
    return 0


def _predict(arguments: argparse.Namespace) -> int:
    from zoo import experiment

    with _refusals():
        table = experiment.predict(arguments.model, arguments.data, arguments.out)
    if arguments.out is None:
        _print(table.to_csv(index=False).rstrip("\n"))
    else:
        _print(f"{len(table)} predictions: {arguments.out}")
    return 0


def _find_class(target: str) -> Any:
    """Return the class that ``module:Class`` names."""
    module_name, colon, class_name = target.partition(":")
    if not (module_name and colon and class_name):
        raise _Mistake(f"{target!r} is not module:Class; write for example my_methods:MyRidge.")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        # Importing runs the user's code, which may raise anything.
        raise _Mistake(
            f"{module_name} cannot be imported from {os.getcwd()} ({_one_line(error)}); check the "
            "name and the folder."
        ) from error
    cls = getattr(module, class_name, None)
    if cls is None:
        from zoo.contract.params import did_you_mean

        classes = [n for n, value in vars(module).items() if isinstance(value, type)]
        raise _Mistake(
            f"the module {module_name} has no {class_name!r}; name one of its classes."
            f"{did_you_mean(class_name, classes)}"
        )
    if not isinstance(cls, type) or not hasattr(cls, "fit"):
        raise _Mistake(f"{target} is no estimator class (it has no fit); name one that is.")
    return cls


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def _print(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


if __name__ == "__main__":
    sys.exit(main())
