"""The command ``zoo``: list the methods, show a card, check an estimator of one's own."""

import argparse
import dataclasses
import importlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from zoo import __version__, registry
from zoo.equations import readable, with_readable

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

    check = commands.add_parser(
        "check",
        help="run the conformance suite on an estimator of yours",
        description="Run the conformance suite on an estimator; exit code 1 when it fails.",
    )
    check.add_argument("target", metavar="module:Class", help="looked up from the current folder")
    check.set_defaults(run=_check)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 (a check failed), 2 (a mistake), 130 (Ctrl-C).

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
        from zoo.params import did_you_mean

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
