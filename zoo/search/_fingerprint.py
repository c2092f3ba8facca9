"""A short text for any data, the same in every process."""

import hashlib
import re
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
import scipy.stats


def fingerprint(*parts: Any) -> str:
    """Return a short text that differs when the values do, the same in every process."""
    digest = hashlib.sha256()
    for part in parts:
        _feed(digest, part)
    return digest.hexdigest()[:32]


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, pd.DataFrame):
        digest.update(f"frame{list(map(str, value.columns))}{list(map(str, value.dtypes))}".encode())
        for i in range(value.shape[1]):
            _feed_column(digest, value.iloc[:, i])
    elif isinstance(value, pd.Series):
        _feed_column(digest, value)
    elif scipy.sparse.issparse(value):
        rows = value.tocsr()
        for part in (np.array(rows.shape), rows.indptr, rows.indices, rows.data):
            _feed(digest, part)
    elif isinstance(value, np.ndarray):
        digest.update(f"array{value.shape}{value.dtype.str}".encode())
        if value.dtype.hasobject:
            _feed(digest, value.ravel().tolist())
        else:
            digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, np.generic):
        _feed(digest, value.item())
    elif isinstance(value, Mapping):
        digest.update(f"dict{len(value)}".encode())
        for key in sorted(value, key=str):
            _feed(digest, key)
            _feed(digest, value[key])
    elif isinstance(value, list | tuple):
        digest.update(f"list{len(value)}".encode())
        for item in value:
            _feed(digest, item)
    elif hasattr(value, "get_params") and not isinstance(value, type):
        _feed(digest, type(value))
        _feed(digest, value.get_params(deep=False))
    elif isinstance(value, type | types.FunctionType | types.BuiltinFunctionType | np.ufunc):
        digest.update(f"{value.__module__}.{value.__qualname__}".encode())
    else:
        # An address in a repr is another one in every process.
        text = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
        digest.update(f"{type(value).__name__}:{text};".encode())


def _feed_column(digest: Any, column: pd.Series) -> None:
    try:
        hashes = pd.util.hash_pandas_object(column, index=False)
    except TypeError:  # cells that cannot be hashed, such as lists
        _feed(digest, column.tolist())
    else:
        digest.update(f"column{column.dtype}{len(column)}".encode())
        digest.update(hashes.to_numpy().tobytes())
