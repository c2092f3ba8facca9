"""The data of a spec: read, given types, checked and divided.

Only regular files are read. What the header tells is checked before the body is read. Afterwards
X is a DataFrame whose columns are numbers (dates as days since 1970) or categories of words, or, for
pictures and plain arrays, an array.
"""

import bz2
import csv
import gzip
import io
import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from zoo.contract.params import did_you_mean
from zoo.experiment.spec.forms import Place
from zoo.experiment.spec.grammar import DataSource, LastRows, Spec, TestData
from zoo.experiment.spec.names import Splitter
from zoo.experiment.spec.text import Source, SpecError, short

__all__ = ["Data", "kind_of", "load", "read_rows"]

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL")
# A column of words is text (free text, identifiers) when more than this share of it is different.
DIFFERENT = 0.5
FEW = 20
LARGEST_HEADER = 4 * 2**20
# More than this from one byte of a compressed file is no table.
EXPANSION = 300
FREE = 512 * 2**20


@dataclass(frozen=True)
class Data:
    """Rows and targets, checked and divided.

    Attributes
    ----------
    X, X_test : DataFrame or array
        Rows to learn from, and rows held out (None without).
    y, y_test : array
        Targets.
    weights, weights_test, groups : array or None
        Weights and groups of the rows.
    task : str
        "classification" or "regression".
    target : str
        The name of the target.
    columns : list of dict
        Of each column: name, kind, missing, unique, example.
    source : str
        Where the rows came from, in words.
    image_shape : tuple or None
        Channels, height and width, when the rows are pictures.
    notes : tuple of str
        What was decided that somebody should know.
    """

    X: Any
    y: Any
    task: Literal["classification", "regression"]
    target: str
    columns: list[dict[str, Any]]
    weights: Any = None
    groups: Any = None
    X_test: Any = None
    y_test: Any = None
    weights_test: Any = None
    source: str = ""
    image_shape: tuple[int, ...] | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def classes(self) -> list[Any] | None:
        """The classes of a classification, in order."""
        return np.unique(self.y).tolist() if self.task == "classification" else None

    def of_kind(self, kind: str) -> list[str]:
        """Name the columns of a kind."""
        return [c["name"] for c in self.columns if c["kind"] == kind]


@dataclass
class _Raw:
    """What a format gives: rows, targets, and the held-out part where the format has one."""

    X: Any
    y: Any
    target: str
    weights: Any = None
    groups: Any = None
    X_test: Any = None
    y_test: Any = None
    weights_test: Any = None
    source: str = ""
    image_shape: tuple[int, ...] | None = None


# -- files ------------------------------------------------------------------------------------------


def file_of(name: str, folder: Path | None, place: Place, *, is_folder: bool = False) -> Path:
    """Return the path of a regular file (or a folder), or raise SpecError."""
    path = (folder or Path()) / Path(name).expanduser()
    wanted = "a folder" if is_folder else "a file"
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        near = path.parent.iterdir() if _is_dir(path.parent) else ()
        known = [p.name for p, _ in zip(near, range(1000), strict=False)]
        reason = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise place.error(
            f"{name!r} {reason} (looked in {path.parent}); give {wanted} relative to the spec."
            f"{did_you_mean(path.name, known)}"
        ) from None
    if is_folder != stat.S_ISDIR(mode) or not (is_folder or stat.S_ISREG(mode)):
        kind = "a folder" if stat.S_ISDIR(mode) else "a file" if stat.S_ISREG(mode) else "no regular file"
        raise place.error(f"{name!r} is {kind}; give {wanted}.")
    return path


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


class _Bounded(io.RawIOBase):
    """A stream that stops when a small file unpacks to much more than a table does."""

    def __init__(self, stream: Any, limit: int, place: Place) -> None:
        self._stream, self._left, self._place = stream, limit, place

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._stream.read(len(buffer))
        self._left -= len(part)
        if self._left < 0:
            raise self._place.error("the file unpacks to far more than a table holds; unpack it first.")
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _open_text(path: Path, place: Place) -> io.TextIOWrapper:
    """Open a csv file, compressed by its name, as UTF-8 text."""
    suffix = path.suffix.lower()
    limit = max(FREE, EXPANSION * path.stat().st_size)
    try:
        if suffix == ".zip":
            archive = zipfile.ZipFile(path)
            names = archive.namelist()
            if len(names) != 1:
                raise place.error(f"{path.name} holds {len(names)} files; give a zip of one.")
            stream: Any = archive.open(names[0])
        else:
            openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
            stream = openers.get(suffix, open)(path, "rb")
    except (OSError, zipfile.BadZipFile) as error:
        raise place.error(f"{path.name} cannot be opened ({error}); check the file.") from None
    return io.TextIOWrapper(
        io.BufferedReader(_Bounded(stream, limit, place), 1 << 16), encoding="utf-8-sig", newline=""
    )


def header_of(path: Path, separator: str, place: Place) -> list[str]:
    """Return the names of the columns of a csv file; nothing below the header is read."""
    try:
        with _open_text(path, place) as text:
            first = text.read(LARGEST_HEADER)
    except UnicodeDecodeError:
        raise place.error(f"{path.name} is not UTF-8 text; save it as UTF-8.") from None
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise place.error(f"{path.name} is damaged ({error}); save it again.") from None
    if "\0" in first:
        raise place.error(f"{path.name} holds NUL characters; it is no text, give a csv file.")
    if not first.strip():
        raise place.error(f"{path.name} is empty; give a file with a header and rows.")
    if len(first) == LARGEST_HEADER and "\n" not in first:
        raise place.error(f"the first line of {path.name} has no end; give a csv file.")
    try:
        names = next(csv.reader(io.StringIO(first), delimiter=separator))
    except (csv.Error, StopIteration) as error:
        raise place.error(f"the header of {path.name} cannot be read ({error}).") from None
    double = [n for n in dict.fromkeys(names) if n and names.count(n) > 1]
    if double:
        raise place.error(f"the header of {path.name} names {double[0]!r} twice; rename one of the two.")
    # As pandas calls what has no name: the row numbers of a table that somebody saved.
    return [name or f"Unnamed: {j}" for j, name in enumerate(names)]


def _read_csv(
    path: Path, separator: str, missing: Sequence[str], rows: int | None, place: Place,
    texts: Iterable[str] = (),
) -> Any:  # fmt: skip
    import pandas as pd

    try:
        with _open_text(path, place) as text:
            frame = pd.read_csv(
                text,
                sep=separator,
                na_values=[*MISSING, *missing],
                keep_default_na=False,
                nrows=rows,
                low_memory=False,
                index_col=False,
                dtype=dict.fromkeys(texts, "str"),
            )
    except SpecError:
        raise
    except UnicodeDecodeError:
        raise place.error(f"{path.name} is not UTF-8 text; save it as UTF-8.") from None
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:  # pandas raises ValueErrors
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise place.error(f"{path.name} cannot be read as csv ({first}); check that line.") from None
    return frame


def separator_of(path: Path, separator: str | None) -> str:
    """Return what stands between values: as given, a tab for .tsv, else a comma."""
    return separator or ("\t" if ".tsv" in path.suffixes else ",")


# -- columns ----------------------------------------------------------------------------------------


def kind_of(column: Any) -> str:
    """Say what a column holds: "number", "category", "text" or "date".

    Words are dates when all of them are written 2024-01-31 (with or without a time), text when more than
    half of them differ and there are more than 20, categories otherwise.

    Examples
    --------
    >>> import pandas as pd
    >>> kind_of(pd.Series([1.5, None])), kind_of(pd.Series(["a", "b", "a"]))
    ('number', 'category')
    """
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return "date"
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_numeric_dtype(column.dtype):  # bool too
        return "number"
    present = column.dropna()
    if present.map(lambda v: isinstance(v, bool | int | float | np.number)).all() and len(present):
        return "number"
    words = present.astype(str)
    if (
        len(words)
        and words.str.fullmatch(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?").all()
    ):
        return "date"
    n = words.nunique()
    return "text" if n > FEW and n > DIFFERENT * len(words) else "category"


def as_kind(column: Any, kind: str, place: Place) -> Any:
    """Return the column in the type of its kind: float or int, categories of words, words, days."""
    import pandas as pd

    name = column.name
    if kind == "number":
        if isinstance(column.dtype, pd.CategoricalDtype):
            column = column.astype(object)
        numbers = pd.to_numeric(column, errors="coerce")
        strange = column[numbers.isna() & column.notna()]
        if len(strange):
            raise place.error(
                f"the column {name!r} holds {short(strange.iloc[0])} in row {_row(strange)}, which is no "
                "number; list such marks under 'missing', or give the column another type."
            )
        numbers = numbers.astype("float64") if numbers.dtype.kind not in "iu" else numbers
        if not isinstance(numbers.dtype, np.dtype):
            numbers = numbers.astype("float64")
        if numbers.dtype.kind == "f" and np.isinf(numbers.to_numpy()).any():
            raise place.error(f"the column {name!r} holds infinity; write a missing value or a number there.")
        return numbers
    if kind == "date":
        try:
            moments = pd.to_datetime(column, utc=True, format="ISO8601" if column.dtype.kind != "M" else None)
        except (ValueError, TypeError) as error:
            raise place.error(
                f"the column {name!r} is no date ({str(error).splitlines()[0]}); write 2024-01-31, or give "
                "the column another type."
            ) from None
        days = (moments - pd.Timestamp("1970-01-01", tz="UTC")) / pd.Timedelta(days=1)
        return days.astype("float64")
    words = column.astype(object).where(column.notna(), None)
    words = words.map(_word, na_action="ignore")
    if kind == "category":
        return words.astype(pd.CategoricalDtype(sorted(words.dropna().unique())))
    return words.astype("str")


def _word(value: Any) -> str:
    """Write a value as a word: 1.0 in a column of whole numbers with gaps was 1."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _row(column: Any) -> Any:
    return column.index[0]


def _summary(name: str, column: Any, kind: str) -> dict[str, Any]:
    present = column.dropna()
    example = present.iloc[0] if len(present) else None
    return {
        "name": name,
        "kind": kind,
        "missing": int(column.isna().sum()),
        "unique": int(present.nunique()),
        "example": example.item() if isinstance(example, np.generic) else example,
    }


def check_columns(spec: Spec, known: Sequence[str]) -> None:
    """Refuse a column that the spec names and the header does not have."""
    from zoo.experiment.spec.grammar import Columns, Contender

    data = spec.data
    named: list[tuple[Place, str]] = [
        (spec.at("data", key), getattr(data, key))
        for key in ("target", "weights", "groups")
        if getattr(data, key) is not None
    ]
    for key in ("drop", "keep"):
        named += [(spec.at("data", key, i), name) for i, name in enumerate(getattr(data, key))]
    named += [(spec.at("data", "types", name), name) for name in data.types or ()]
    lists: list[tuple[Place, Any]] = [(spec.at("steps"), spec.steps)]
    if spec.models != "auto":
        lists += [
            (spec.at("models", i, "steps"), m.steps)
            for i, m in enumerate(spec.models)
            if isinstance(m, Contender)
        ]
    for place, steps in lists:
        for i, step in enumerate(steps if isinstance(steps, tuple) else ()):
            if isinstance(step, Columns):
                named += [(place / i / "columns" / name, name) for name in step.names()]
    for place, name in named:
        if name not in known:
            shown = ", ".join(known[:30]) + (", ..." if len(known) > 30 else "")
            raise place.error(
                f"there is no column {name!r}; name one of {shown}.{did_you_mean(name, list(known))}"
            )


def read_rows(
    path: str | Path,
    kinds: Mapping[str, str],
    *,
    missing: Sequence[str] = (),
    separator: str | None = None,
) -> Any:
    """Read new rows for a model that was fitted to the columns of ``kinds``.

    Parameters
    ----------
    path : str or Path
        A csv or parquet file with at least these columns.
    kinds : dict
        From the name of a column to its kind, as `Data.columns` has them.
    missing : sequence of str
        Marks of missing values, as in the spec.
    separator : str, optional
        What stands between values.

    Returns
    -------
    X : DataFrame
        The columns of ``kinds``, in that order, in the types that the model was fitted to.
    """
    place = Place(Source(str(path), None))
    file = file_of(str(path), None, place)
    form = "parquet" if file.suffix in (".parquet", ".pq") else "csv"
    known, frame = read_table(form, file, separator, missing, None, place)
    for name in kinds:
        if name not in known:
            raise place.error(
                f"there is no column {name!r}, which the model needs; add it.{did_you_mean(name, known)}"
            )
    table = frame(list(kinds))
    return _typed(table, kinds, place)


def _typed(frame: Any, kinds: Mapping[str, str], place: Place) -> Any:
    import pandas as pd

    return pd.DataFrame({name: as_kind(frame[name], kind, place) for name, kind in kinds.items()})


def read_table(
    form: str, file: Path, separator: str | None, missing: Sequence[str], rows: int | None, place: Place
) -> tuple[list[str], Any]:
    """Return the names of the columns, and a function that reads some of them."""
    if form == "parquet":
        return _parquet(file, missing, rows, place)
    separator = separator_of(file, separator)
    known = header_of(file, separator, place)

    def read(names: list[str], texts: Iterable[str] = ()) -> Any:
        return _read_csv(file, separator, missing, rows, place, texts)[names]

    return known, read


def _parquet(file: Path, missing: Sequence[str], rows: int | None, place: Place) -> tuple[list[str], Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise place.error(
            "parquet needs pyarrow; install it with `pip install sklearn-zoo[parquet]`."
        ) from None
    try:
        known = [str(n) for n in pq.read_schema(file).names]
    except (pa.ArrowException, OSError) as error:
        raise place.error(
            f"{file.name} is no parquet file ({str(error).splitlines()[0]}); give one."
        ) from None
    double = [n for n in known if known.count(n) > 1]
    if double:
        raise place.error(f"{file.name} has two columns {double[0]!r}; rename one of the two.")

    def read(names: list[str], texts: Iterable[str] = ()) -> Any:
        try:
            frame = pq.read_table(file, columns=names).to_pandas()
        except (pa.ArrowException, OSError) as error:
            raise place.error(
                f"{file.name} is damaged ({str(error).splitlines()[0]}); save it again."
            ) from None
        frame = (frame if rows is None else frame.iloc[:rows])[names].reset_index(drop=True)
        return frame.mask(frame.isin(list(missing))) if missing else frame

    return known, read


# -- formats ----------------------------------------------------------------------------------------


def load(spec: Spec) -> Data:
    """Read the data of a spec, give the columns types, check the target and divide the rows.

    Examples
    --------
    >>> from zoo.experiment.spec import read
    >>> data = load(read({"data": {"sklearn": "load_iris"}, "models": ["Ridge"], "task": "regression"}))
    >>> data.X.shape, data.X_test.shape, data.target
    ((120, 4), (30, 4), 'target')
    """
    if spec.given is not None and not isinstance(spec.given, Path):
        return _divide(spec, _given(spec))
    loaders = {
        "csv": _from_table,
        "parquet": _from_table,
        "npz": _from_npz,
        "images": _from_images,
        "sklearn": _from_sklearn,
    }
    return _divide(spec, loaders[str(spec.data.format)](spec))


def _folder(spec: Spec) -> Path | None:
    return spec.given if isinstance(spec.given, Path) else spec.source.folder if spec.source else None


def _from_table(spec: Spec) -> _Raw:
    data, key = spec.data, str(spec.data.format)
    place = spec.at("data", key)
    file = file_of(getattr(data, key), _folder(spec), place)
    known, read = read_table(key, file, data.separator, data.missing, data.rows, place)
    check_columns(spec, known)
    test = None
    if isinstance(spec.test, TestData):
        form = "csv" if spec.test.csv is not None else "parquet"
        at = spec.at("test", form)
        other = file_of(getattr(spec.test, form), _folder(spec), at)
        # Both headers are seen before the first body is read.
        test_known, read_test = read_table(form, other, data.separator, data.missing, None, at)
        names = _wanted(data, known)
        for name in names:
            if name not in test_known:
                raise at.error(
                    f"there is no column {name!r} as in the other file; add it."
                    f"{did_you_mean(name, test_known)}"
                )
        test = read_test(names, _worded(data))
    frame = read(_wanted(data, known), _worded(data))
    return _from_frame(spec, frame, test, f"{key}: {file.name}")


def _worded(data: DataSource) -> list[str]:
    """Name the columns whose numbers are words: 007 keeps its zeros."""
    return [name for name, kind in (data.types or {}).items() if kind in ("category", "text")]


def _wanted(data: DataSource, known: Sequence[str]) -> list[str]:
    parts = [p for p in (data.target, data.weights, data.groups) if p is not None]
    keep = data.keep or known
    return [n for n in known if n in parts or (n in keep and n not in data.drop)]


def _from_frame(spec: Spec, frame: Any, test: Any, source: str) -> _Raw:
    data = spec.data
    target = str(data.target)
    parts = [p for p in (data.target, data.weights, data.groups) if p is not None]

    def part(table: Any, name: str | None) -> Any:
        return None if table is None or name is None else table[name]

    return _Raw(
        X=frame.drop(columns=parts),
        y=frame[target],
        target=target,
        weights=part(frame, data.weights),
        groups=part(frame, data.groups),
        X_test=None if test is None else test.drop(columns=parts),
        y_test=part(test, target),
        weights_test=part(test, data.weights),
        source=source,
    )


def _from_sklearn(spec: Spec) -> _Raw:
    from zoo.experiment.spec.sets import load_dataset

    assert spec.data.sklearn is not None
    name = spec.data.sklearn.name
    X, y, target = load_dataset(name, spec.data.sklearn.params, spec.seed, spec.at("data", "sklearn"))
    return _from_python(spec, X, y, spec.data.target or target, f"scikit-learn: {name}")


def _from_python(spec: Spec, X: Any, y: Any, target: str, source: str) -> _Raw:
    """X and y as Python has them; a DataFrame may hold weights and groups."""
    import pandas as pd

    if isinstance(X, pd.DataFrame):
        X = X.reset_index(drop=True)
        X.columns = X.columns.map(str)
        if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
            y = y.iloc[:, 0]
        frame = X.assign(**{target: y.to_numpy() if hasattr(y, "to_numpy") else y})
        at = spec.at("data")
        if target in X.columns:
            raise at.error(f"X has a column {target!r} like the target; rename it.")
        checked = _with(spec, target)
        check_columns(checked, list(frame.columns))
        frame = frame[_wanted(checked.data, list(frame.columns))]
        if spec.data.rows:
            frame = frame.iloc[: spec.data.rows]
        return _from_frame(checked, frame, None, source)
    if spec.data.weights or spec.data.groups or spec.data.drop or spec.data.keep:
        raise spec.at("data").error("an array has no columns with names; give a DataFrame.")
    return _Raw(X=X, y=y, target=target, source=source)


def _with(spec: Spec, target: str) -> Spec:
    from dataclasses import replace

    return replace(spec, data=replace(spec.data, target=target))


def _given(spec: Spec) -> _Raw:
    import pandas as pd

    if isinstance(spec.given, tuple):
        X, y = spec.given
        name = spec.data.target or str(getattr(y, "name", None) or "y")
        return _from_python(spec, X, y, name, "data from Python")
    frame = spec.given
    if not isinstance(frame, pd.DataFrame):
        raise spec.at("data").error(
            f"data={type(frame).__name__} is not accepted; give a DataFrame, (X, y), or the folder of the "
            "files."
        )
    if spec.data.target is None:
        raise spec.at("data").error("the key 'target' is missing; it must name a column of the DataFrame.")
    frame = frame.reset_index(drop=True)
    frame.columns = frame.columns.map(str)
    check_columns(spec, list(frame.columns))
    frame = frame[_wanted(spec.data, list(frame.columns))]
    if spec.data.rows:
        frame = frame.iloc[: spec.data.rows]
    return _from_frame(spec, frame, None, "a DataFrame")


def _from_npz(spec: Spec) -> _Raw:
    from zoo.experiment.spec.grammar import Arrays

    place = spec.at("data", "npz")
    file = file_of(str(spec.data.npz), _folder(spec), place)
    names = spec.data.arrays or Arrays()
    wanted = {
        f: getattr(names, f) for f in ("X", "y", "weights", "groups", "X_test", "y_test", "weights_test")
    }
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
        if unpacked > max(FREE, EXPANSION * file.stat().st_size):
            raise place.error("the file unpacks to far more than arrays of its size; save it again.")
        with np.load(file, allow_pickle=False) as found:
            for role, name in wanted.items():
                if name is not None and name not in found.files:
                    raise spec.at("data", "arrays", role).error(
                        f"there is no array {name!r} in {file.name}; it holds {', '.join(found.files)}. Name "
                        f"them under arrays: {{X: ..., y: ...}}.{did_you_mean(name, found.files)}"
                    )
            arrays = {role: found[name] for role, name in wanted.items() if name is not None}
    except SpecError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        reason = "it holds Python objects" if "pickle" in str(error) else str(error).splitlines()[0]
        raise place.error(
            f"{file.name} cannot be read ({reason}); save plain arrays with numpy.savez."
        ) from None
    n = len(arrays["X"]) if arrays["X"].ndim else 0
    for role, array in arrays.items():
        rows = len(arrays["X_test"]) if role.endswith("_test") and "X_test" in arrays else n
        if array.ndim == 0 or len(array) != rows:
            raise place.error(f"the array of {role} has shape {array.shape}, but there are {rows} rows.")
    return _Raw(target="y", source=f"npz: {file.name}", **arrays)


def _from_images(spec: Spec) -> _Raw:
    from zoo.experiment.spec.pictures import load_pictures

    place = spec.at("data", "images")
    folder = file_of(str(spec.data.images), _folder(spec), place, is_folder=True)
    X, y, shape = load_pictures(folder, spec.data.size, place)
    return _Raw(X=X, y=y, target="class", source=f"pictures: {folder.name}", image_shape=shape)


# -- checking and dividing --------------------------------------------------------------------------


def _divide(spec: Spec, raw: _Raw) -> Data:
    import pandas as pd

    notes: list[str] = []
    at = spec.at("data")
    X, X_test, columns = raw.X, raw.X_test, []
    if isinstance(X, pd.DataFrame):
        types = spec.data.types or {}
        kinds = {name: types.get(name) or kind_of(X[name]) for name in X.columns}
        both = X if X_test is None else pd.concat([X, X_test], ignore_index=True)
        both = _typed(both, kinds, at)
        X, X_test = both.iloc[: len(X)], (None if X_test is None else both.iloc[len(X) :])
        columns = [_summary(name, X[name], kind) for name, kind in kinds.items()]
        for c in columns:
            if c["missing"] == len(X):
                raise at.error(f"the column {c['name']!r} has no value at all; list it under 'drop'.")
    else:
        X = _as_array(X, at)
        if X_test is not None:
            X_test = _as_array(X_test, at)
        if raw.image_shape is None and X.ndim >= 3:
            raw.image_shape = (1, *X.shape[1:]) if X.ndim == 3 else X.shape[1:]
            X = X.reshape(X.shape[0], -1)
            X_test = None if X_test is None else X_test.reshape(len(X_test), -1)
    if X.shape[1] == 0:
        raise at.error("no column is left to learn from; keep at least one besides the target.")
    place = spec.at("data", "target") if spec.data.target else at
    y, task = check_target(raw.y, spec.task, place)
    if len(y) != X.shape[0]:
        raise at.error(f"X has {X.shape[0]} rows and y has {len(y)}; they must have as many.")
    y_test = None if raw.y_test is None else check_target(raw.y_test, task, spec.at("test"), other=True)[0]
    if y_test is not None and task == "classification":
        strange = sorted(set(y_test.tolist()) - set(y.tolist()))
        if strange:
            raise spec.at("test").error(
                f"the held-out part has the class {short(strange[0])}, which the rows to learn from do "
                "not have; write the classes alike in both."
            )
    weights = _check_weights(raw.weights, spec)
    groups = _check_groups(raw.groups, spec)
    data = Data(
        X=X, y=y, task=task, target=raw.target, columns=columns, weights=weights, groups=groups,
        X_test=X_test, y_test=y_test, weights_test=_check_weights(raw.weights_test, spec),
        source=raw.source, image_shape=raw.image_shape,
    )  # fmt: skip
    if len(y) < 4:
        raise at.error(f"there are {len(y)} rows; give at least 4.")
    if X_test is None and isinstance(spec.test, float | LastRows):
        data, more = _hold_out(data, spec)
        notes += more
    from dataclasses import replace

    return replace(data, notes=(*notes,))


def _as_array(X: Any, place: Place) -> Any:
    if hasattr(X, "tocsr"):
        return X.tocsr()
    X = np.asarray(X)
    if X.ndim == 1:
        raise place.error("X has one dimension; give rows and columns.")
    if X.dtype.kind not in "biuf":
        raise place.error(f"X is an array of {X.dtype}; give numbers, or a DataFrame.")
    if X.dtype.kind == "f" and np.isinf(X).any():
        raise place.error("X holds infinity; write nan or a number there.")
    return X


def check_target(y: Any, task: str, place: Place, *, other: bool = False) -> tuple[Any, Any]:
    """Return the target as an array, and the task."""
    import pandas as pd

    column = pd.Series(np.asarray(y) if not isinstance(y, pd.Series) else y).reset_index(drop=True)
    if getattr(y, "ndim", 1) != 1:
        raise place.error("the target has several columns; name one.")
    missing = int(column.isna().sum())
    if missing:
        raise place.error(
            f"the target is missing in {missing} of {len(column)} rows; delete these rows, nothing can be "
            "learned from them."
        )
    numeric = pd.api.types.is_numeric_dtype(column.dtype) and column.dtype != bool
    n = column.nunique()
    whole = numeric and bool((column == column.round()).all())
    if task == "auto":
        task = "regression" if numeric and not (whole and n <= FEW) else "classification"
    if task == "regression":
        numbers = pd.to_numeric(column, errors="coerce")
        if numbers.isna().any():
            strange = column[numbers.isna()].iloc[0]
            raise place.error(
                f"the target holds {short(strange)}, which is no number; use task: classification."
            )
        values = numbers.to_numpy(dtype=float)
        if not np.isfinite(values).all():
            raise place.error("the target holds infinity; give finite numbers.")
        if n < 2 and not other:
            raise place.error("the target has the same value in every row; there is nothing to learn.")
        return values, task
    if numeric and not whole:
        raise place.error(
            f"the target holds fractions such as {column[column != column.round()].iloc[0]}; use task: "
            "regression."
        )
    if other:
        pass
    elif n < 2:
        raise place.error(
            f"the target is {short(column.iloc[0])} in every row; there is nothing to tell apart."
        )
    elif n == len(column) or n > max(FEW, DIFFERENT * len(column)):
        remedy = "use task: regression" if numeric else "name a column with few different values"
        raise place.error(
            f"the target has {n} different values in {len(column)} rows, which are no classes; {remedy}."
        )
    if numeric:
        return column.to_numpy(dtype=np.int64), task
    if column.dtype == bool:
        return column.to_numpy(), task
    return column.astype(object).map(str).to_numpy(dtype=object), task


def _check_weights(weights: Any, spec: Spec) -> Any:
    if weights is None:
        return None
    import pandas as pd

    place = spec.at("data", "weights")
    w = pd.to_numeric(pd.Series(np.asarray(weights)), errors="coerce").to_numpy(dtype=float)
    if not np.isfinite(w).all() or (w < 0).any() or not w.sum():
        raise place.error("weights are numbers >= 0, none missing and not all 0; name another column.")
    return w


def _check_groups(groups: Any, spec: Spec) -> Any:
    if groups is None:
        return None
    import pandas as pd

    column = pd.Series(np.asarray(groups, dtype=object))
    place = spec.at("data", "groups")
    if column.isna().any():
        raise place.error(f"the group is missing in {int(column.isna().sum())} rows; fill it in.")
    if column.nunique() < 2:
        raise place.error("all rows are of one group; name another column, or delete this.")
    return column.map(str).to_numpy(dtype=object)


def _hold_out(data: Data, spec: Spec) -> tuple[Data, list[str]]:
    """Hold rows out: the last where time counts, else whole groups, else as many of each class."""
    from dataclasses import replace

    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    notes = []
    rows = np.arange(len(data.y))
    assert isinstance(spec.test, float | LastRows)
    share = spec.test if isinstance(spec.test, float) else spec.test.last
    forward = isinstance(spec.cv, Splitter) and spec.cv.name == "TimeSeriesSplit"
    if forward or isinstance(spec.test, LastRows):
        n_test = int(np.ceil(share * len(rows)))
        if n_test >= len(rows):
            raise spec.at("test").error(f"{share} leaves nothing to learn from; hold out less.")
        train, test = rows[:-n_test], rows[-n_test:]
        if data.task == "classification" and (late := np.setdiff1d(data.y[test], data.y[train])).size:
            raise spec.at("test").error(
                f"the class {late.tolist()[0]!r} is in the last {n_test} rows only; hold out fewer."
            )
        notes.append(f"the last {n_test} rows are held out, since time counts")
    elif data.groups is not None:
        split = GroupShuffleSplit(1, test_size=share, random_state=spec.seed)
        train, test = next(split.split(rows, data.y, data.groups))
    else:
        stratify = None
        if data.task == "classification":
            counts = np.unique(data.y, return_counts=True)[1]
            n_test = int(np.ceil(share * len(rows)))
            if counts.min() >= 2 and len(counts) <= min(n_test, len(rows) - n_test):
                stratify = data.y
            else:
                notes.append("the rows held out are drawn without regard to classes: one is too small")
        try:
            train, test = train_test_split(rows, test_size=share, random_state=spec.seed, stratify=stratify)
        except ValueError as error:
            raise spec.at("test").error(f"{share} leaves nothing on one side ({error}).") from None
    train, test = np.sort(train), np.sort(test)
    if data.task == "classification" and len(np.unique(data.y[train])) < 2:
        raise spec.at("test").error(f"{share} leaves one class to learn from; hold out less.")

    def take(values: Any, which: Any) -> Any:
        if values is None:
            return None
        return values.iloc[which] if hasattr(values, "iloc") else values[which]

    return replace(
        data,
        X=take(data.X, train), y=data.y[train], weights=take(data.weights, train),
        groups=take(data.groups, train), X_test=take(data.X, test), y_test=data.y[test],
        weights_test=take(data.weights, test),
    ), notes  # fmt: skip
