"""The folder of an experiment: whose it is, and files that are whole or not there.

Every file but the journal is written beside its place and renamed into it, so that a run which is killed
leaves whole files or none, and running again goes on.
"""

import contextlib
import json
import math
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from zoo import __version__
from zoo.experiment.spec import Spec, dump

JOURNAL = "journal.jsonl"
FILES = (
    "spec.yaml", "environment.json", JOURNAL, "leaderboard.csv", "predictions.csv", "findings.json",
    "model.zoo", "report.html",
)  # fmt: skip
LOCK = ".lock"
# Keys of a spec that change neither trials nor what is drawn from them.
MAY_CHANGE = ("title", "keep", "backend")


class ExperimentError(ValueError):
    """A folder cannot be used; the message is one sentence."""


@contextlib.contextmanager
def used(folder: Path) -> Iterator[None]:
    """Make the folder, keep other runs out, and say in one sentence what the system refuses meanwhile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            yield
    except BrokenPipeError:
        raise  # nobody reads the terminal any more; the folder is fine
    except OSError as error:
        raise ExperimentError(
            f"{error.filename or folder} cannot be used ({error.strerror or error}); make room or choose "
            "another folder (finished trials are kept, and the same command goes on with them)."
        ) from error


def read_json(path: Path, *keys: str) -> dict[str, Any]:
    """Read a file that a run wrote, which has these keys."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"it is no JSON: {type(error).__name__}") from error
    if not isinstance(found, dict) or (lacking := [k for k in keys if k not in found]):
        raise damaged(path, f"it has no {keys[0] if not isinstance(found, dict) else lacking[0]}")
    return found


def damaged(path: Path, what: str) -> ExperimentError:
    """Make the error for a file that is not what a run wrote."""
    return ExperimentError(
        f"{path} is damaged ({what}); choose another folder, or give fresh=True (--fresh) to begin anew in "
        "this one."
    )


def write(path: Path, data: bytes | str) -> None:
    """Write beside the place and rename into it when it is on the disk."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of the folder; the lock of a process that died is no lock."""
    with open(folder / LOCK, "a+", encoding="utf-8") as file:
        try:
            _take(file)
        except OSError as error:
            file.seek(0)
            raise ExperimentError(
                f"{folder} is in use by another run ({file.read().strip() or 'just begun'}); wait for it or "
                "choose another folder."
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}\n")
        file.flush()
        yield
        file.truncate(0)


def _take(file: Any) -> None:
    # The system gives the lock back when the process ends, however it ends.
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def claim(folder: Path, spec: Spec, data_mark: str, *, fresh: bool) -> None:
    """Empty the folder, or make sure that what it holds is this experiment."""
    for name in FILES:  # what a run that was killed left beside the places of its files
        for left in folder.glob(f".{name}.*"):
            left.unlink(missing_ok=True)
    if fresh:
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
    others = [p.name for p in folder.iterdir() if not p.name.startswith(".")]
    if not others:
        return
    try:
        old_spec = _spec_in(folder / "spec.yaml")
        old_mark = read_json(folder / "environment.json", "data")["data"]
    except FileNotFoundError as error:
        if set(others) <= {"spec.yaml", "environment.json"}:
            return  # killed between the two
        raise ExperimentError(
            f"{folder} holds {', '.join(sorted(others)[:3])} and no experiment; choose an empty folder."
        ) from error
    new_spec = plain_spec(dump(spec))
    differ = sorted(k for k in {*old_spec, *new_spec} if old_spec.get(k) != new_spec.get(k))
    remedy = "choose another folder, or give fresh=True (--fresh) to begin anew in this one."
    if differ:
        raise ExperimentError(
            f"{folder} was made from another spec (they differ in {', '.join(differ)}); {remedy}"
        )
    if old_mark != data_mark:
        raise ExperimentError(f"{folder} was made from other data; {remedy}")


def _spec_in(path: Path) -> dict[str, Any]:
    try:
        return plain_spec(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise damaged(path, "it is no spec") from error


def plain_spec(text: str) -> dict[str, Any]:
    """Return what a resolved spec says, without the keys that may differ between runs of one experiment."""
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError("no YAML") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ValueError("no keys")
    return {k: v for k, v in found.items() if k not in MAY_CHANGE}


def environment() -> dict[str, Any]:
    """Say what the experiment runs on."""
    names = ("scikit-learn", "torch", "skorch", "numba", "numpy", "scipy", "pandas", "joblib")
    packages = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            packages[name] = metadata.version(name)
    return {
        "python": platform.python_version(), "zoo": __version__, "packages": packages,
        "system": f"{platform.system()} {platform.release()}", "cpu": _cpu(), "cores": joblib.cpu_count(),
    }  # fmt: skip


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def json_text(value: Any) -> str:
    """Return JSON of anything, as `plain` reads it."""
    return json.dumps(plain(value), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def plain(value: Any) -> Any:
    """Return what JSON can hold; numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return " ".join(repr(value).split())
