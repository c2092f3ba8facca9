"""What a file is made of, its limits, and the one error for whatever is wrong with it."""

from typing import Any

FORMAT = 2
HEADER, STATE, ARRAYS, OBJECTS = "zoo.json", "state.json", "arrays.safetensors", "objects.skops"
# JSON becomes about twenty times larger in memory, and the directory of a zip ten times; arrays do
# not.
JSON_LIMIT = 64 * 2**20
VALUES_LIMIT = 5_000_000
DIRECTORY_LIMIT = 4 * 2**20
COPIES_LIMIT = 16 * 2**20
RANGES_LIMIT = 1_000_000
# Entries of one set or dict that have one hash: they are compared one by one.
COLLISIONS_LIMIT = 16
BUNCH = "sklearn.utils._bunch.Bunch"
BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
# dtypes that safetensors knows; the others are kept as bytes.
NATIVE = (
    "|b1", "<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "|i1", "<u8", "<u4", "<u2", "|u1",
)  # fmt: skip
SPARSE = ("csr", "csc", "bsr", "coo", "dia")


class ZooFileError(ValueError):
    """A file cannot be written or read; the message is one sentence."""


def kind_of(value: Any) -> str:
    """Say what an object is, by its class."""
    return f"an object of {full_name(type(value))}"


def full_name(cls: type) -> str:
    """Return module and name of a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def shortened(value: Any) -> str:
    """Return the repr, cut to what fits a sentence."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def printable(name: str) -> str:
    """Return a name from a file in a form that may be printed."""
    text = name if name.isprintable() else repr(name)
    return text if len(text) <= 200 else text[:197] + "..."


def why(error: BaseException) -> str:
    """Return the first line of an error, cut to what fits a sentence."""
    text = (str(error).splitlines() or [""])[0]
    text = text if len(text) <= 160 else text[:157] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def damaged(path: Any, what: str) -> ZooFileError:
    """Make the error for a file that is not what was saved."""
    return ZooFileError(f"{path} is damaged: {what}; save the estimator again.")


def count_of_values(data: bytes) -> int:
    """Bound the number of values in a JSON text from above, without reading it."""
    return sum(map(data.count, (b",", b"[", b"{")))


def is_native(descr: Any) -> bool:
    """Tell whether safetensors knows the dtype."""
    return isinstance(descr, str) and descr in NATIVE
