"""Keep an estimator in one file without pickle: ``zoo.save``, ``zoo.load``.

The file is a zip of up to four members, none of them compressed, so that a file can never unpack
to more than its own size:

- ``zoo.json``: format number, versions, what was dropped, sha256 of every other member.
- ``state.json``: the tree of plain values, estimators and references to arrays.
- ``arrays.safetensors``: every array.
- ``objects.skops``: compiled objects of scikit-learn (trees, losses) as skops keeps them.

Loading makes an object by ``__new__`` and gives it its state; before anything is imported or made,
every name in the file is compared with what is trusted: public estimators of scikit-learn, what
skops trusts in addition, the zoo's own by their public keys (`zoo.contract.kept`), the short list of
``_trust``, and what the caller adds. This protects against accident. Against tampering it excludes only
that code from the file is run: an edited file may still hold other numbers than the ones that were
learned.

Where plain state is not enough
-------------------------------
An object is kept as what its ``__getstate__`` returns. An estimator whose fitted state is no plain
data (a torch module, a tokenizer) writes two methods, which only files use:

``__zoo_state__(self) -> dict``
    Everything that makes the estimator, parameters included, as plain values (None, bool, int,
    float, str, bytes, list, tuple, dict, set, arrays, nested estimators). Optimiser state goes
    under the key "optimizer_state_" (None or absent when it is not kept), so that the header can
    tell.
``__zoo_restore__(self, state: dict) -> None``
    Fill a bare object, made by ``__new__``, from that dict.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zoo import __version__
from zoo.persist._archive import open_bounded, read_zip
from zoo.persist._format import (
    ARRAYS,
    FORMAT,
    HEADER,
    JSON_LIMIT,
    OBJECTS,
    STATE,
    VALUES_LIMIT,
    ZooFileError,
    count_of_values,
    damaged,
    full_name,
    kind_of,
    why,
)
from zoo.persist._reading import Reader, checked_header, warn_of_version, writer_of
from zoo.persist._trust import is_estimator
from zoo.persist._writing import Writer, to_skops, versions, write_zip
from zoo.persist.checkpoint import Checkpoint

__all__ = ["Checkpoint", "ZooFileError", "load", "needs_trust", "save"]


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write an estimator to one file, without pickle.

    The file appears under its name when it is complete: an older one of that name stays whole until
    then. Callbacks are dropped, and the header says so. Live environments, and functions that are
    not known by name, are refused.

    Parameters
    ----------
    estimator : estimator of the zoo or of scikit-learn
        Fitted or not, with everything that it holds (pipelines, searches, nested estimators).
    path : str or path
        Where to write; the usual ending is ``.zoo``.

    Raises
    ------
    ZooFileError
        When a parameter or attribute cannot be kept (it is named), or the file cannot be written.

    Examples
    --------
    >>> import tempfile, zoo
    >>> from pathlib import Path
    >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "line.zoo")
    ...     zoo.save(zoo.Ridge(alpha=0).fit(X, y), path)
    ...     print(zoo.load(path).predict([[10.0]]).round(6))
    [21.]
    """
    if not is_estimator(type(estimator)):
        raise ZooFileError(
            f"zoo.save keeps estimators, but was given {kind_of(estimator)}; put it into an "
            "estimator or keep it in another way."
        )
    writer = Writer()
    try:
        tree = writer.node(estimator, type(estimator).__name__)
        state = json.dumps(tree, allow_nan=False, separators=(",", ":")).encode()
    except RecursionError as error:
        raise ZooFileError(
            f"{type(estimator).__name__} cannot be kept: a list, tuple or dict in it holds itself "
            "or is nested too deeply."
        ) from error
    if len(state) > JSON_LIMIT or count_of_values(state) > VALUES_LIMIT:
        raise ZooFileError(
            f"{type(estimator).__name__} cannot be kept: its plain values (lists, dicts, strings) "
            f"need {len(state)} bytes and the limit is {JSON_LIMIT} bytes with {VALUES_LIMIT} "
            "values; keep them in arrays."
        )
    members = {STATE: state}
    if writer.arrays:
        from safetensors.numpy import save as to_safetensors

        members[ARRAYS] = to_safetensors(writer.arrays)
    if writer.objects:
        members[OBJECTS] = to_skops(writer)
    header = {
        "format": FORMAT,
        "estimator": type(estimator).__name__,
        "versions": versions(),
        "optimizer_state": writer.optimizer,
        "dropped": writer.dropped,
        "needs_trust": sorted(writer.untrusted),
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in members.items()},
    }
    write_zip({HEADER: json.dumps(header, indent=1).encode()} | members, Path(path))


def load(
    path: str | os.PathLike[str],
    *,
    max_bytes: int = 4 * 2**30,
    trusted: Iterable[str | type] = (),
) -> Any:
    """Read an estimator that `save` has written; no code from the file is run.

    This protects against accident: a damaged, cut or foreign file gives one clear error. Against
    tampering it excludes only the running of code: who can edit the file can change the numbers,
    and with them what the estimator predicts.

    Parameters
    ----------
    path : str or path
        The file.
    max_bytes : int, default=4 GiB
        A larger file is refused before it is read. Files are not compressed, so this bounds what
        is unpacked as well.
    trusted : iterable of str or class, default=()
        Classes, or full names ("package.module.Class"), to trust in addition: estimators of yours,
        or ``"sklearn.tree._tree.Tree"`` for scikit-learn's trees, which do not check what they hold
        and can crash when the file was tampered with.

    Returns
    -------
    estimator : object
        The estimator, ready to use.

    Raises
    ------
    ZooFileError
        For whatever is wrong with the file.
    """
    if isinstance(trusted, str):
        raise TypeError(f"trusted must be a list of full names; write trusted=[{trusted!r}].")
    extra = frozenset(t if isinstance(t, str) else full_name(t) for t in trusted)
    try:
        with open_bounded(path, max_bytes) as file:
            members = read_zip(file, str(path))
        header = checked_header(members, path)
    except ZooFileError:
        raise
    except Exception as error:
        raise damaged(path, f"it cannot be read ({why(error)})") from error
    try:
        estimator = Reader(members, header, extra, str(path)).estimator()
    except ZooFileError:
        raise
    except Exception as error:
        if header["format"] < FORMAT:
            raise ZooFileError(
                f"{path} was written by {writer_of(header)} and what it holds cannot be put together by "
                f"zoo {__version__} ({why(error)}); fit the estimator again, or load it with the version "
                "that wrote it."
            ) from error
        # Whatever a damaged state makes a constructor raise, the reader of the message wants to
        # know that the file is at fault; the cause stays attached.
        raise ZooFileError(
            f"{path} is damaged or does not fit this version: what it holds cannot be put together "
            f"({why(error)}); save the estimator again."
        ) from error
    warn_of_version(header, path)
    return estimator


def needs_trust(path: str | os.PathLike[str], *, max_bytes: int = 4 * 2**30) -> list[str]:
    """List the classes in a file that `load` must be told to trust; nothing of them is imported.

    Parameters
    ----------
    path : str or path
        The file.
    max_bytes : int, default=4 GiB
        As in `load`.

    Returns
    -------
    names : list of str
        Full names, for ``trusted=`` of `load`.
    """
    try:
        with open_bounded(path, max_bytes) as file:
            return list(checked_header(read_zip(file, str(path)), path).get("needs_trust", []))
    except ZooFileError:
        raise
    except Exception as error:
        raise damaged(path, f"it cannot be read ({why(error)})") from error
