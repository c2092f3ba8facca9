"""From a path to the bytes of its members: a regular file of bounded size, a plain zip, plain JSON."""

import io
import json
import os
import re
import stat
import zipfile
from typing import Any, BinaryIO

from zoo.persist._format import (
    DIRECTORY_LIMIT,
    JSON_LIMIT,
    VALUES_LIMIT,
    ZooFileError,
    count_of_values,
    damaged,
    why,
)

_BINARY = getattr(os, "O_BINARY", 0)  # Windows would translate line ends


def open_bounded(path: str | os.PathLike[str], max_bytes: int) -> BinaryIO:
    """Open a regular file of bounded size."""
    try:
        # Not blocking: opening a pipe would wait for someone to write to it.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    except FileNotFoundError as error:
        raise ZooFileError(f"{path} does not exist; check the path.") from error
    except (OSError, ValueError) as error:
        raise ZooFileError(f"{path} cannot be opened ({why(error)}); check the path.") from error
    about = os.fstat(descriptor)
    what = None
    if not stat.S_ISREG(about.st_mode):
        what = "is no regular file; give a file that zoo.save has written"
    elif about.st_size > max_bytes:
        what = (
            f"holds {about.st_size} bytes and max_bytes={max_bytes}; pass a larger max_bytes if it "
            "is meant to be that large"
        )
    if what:
        os.close(descriptor)
        raise ZooFileError(f"{path} {what}.")
    return open(descriptor, "rb")


def read_zip(file: BinaryIO, path: str) -> dict[str, bytes]:
    """Return the members of a zip that is not compressed."""
    if file.read(4) != b"PK\x03\x04":
        raise ZooFileError(
            f"{path} is no zoo file (it is no zip archive); give a file that zoo.save has written."
        )
    _check_end(file, path)
    try:
        with zipfile.ZipFile(file) as archive:
            _check_directory(archive.infolist(), file.seek(0, io.SEEK_END), path)
            members = {}
            for info in archive.infolist():
                with archive.open(info) as stream:
                    members[info.filename] = stream.read(info.file_size)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise damaged(path, f"its zip archive cannot be read ({why(error)})") from error
    return members


def _check_end(file: BinaryIO, path: str) -> None:
    """Bound the directory of a zip before it is read: every entry of it becomes an object."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 42))
    locator, end = file.read(20), file.read(22)
    if end[:4] != b"PK\x05\x06":
        raise damaged(path, "its end is missing")
    # The extended directory is written for large files only.
    extended = locator[:4] == b"PK\x06\x07" and size < 2**31
    if extended or int.from_bytes(end[12:16], "little") > DIRECTORY_LIMIT:
        raise damaged(path, "its directory is larger than any that zoo.save writes")


def _check_directory(infos: list[zipfile.ZipInfo], size: int, path: str) -> None:
    """Refuse, from the directory alone, what zoo.save never writes."""
    names = [info.filename for info in infos]
    what = None
    if len(set(names)) != len(names):
        what = "has two members of the same name"
    elif any(info.flag_bits & 0x1 for info in infos):
        what = "has an encrypted member"
    elif any(
        info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size for info in infos
    ):
        what = "has a compressed member"
    elif sum(info.file_size for info in infos) > size:
        what = "says that its members are larger than the file"
    elif min((info.header_offset for info in infos), default=0):
        what = "has something before its first member"
    elif any(not _is_plain_member(info) for info in infos):
        what = "has a member that is a path, a folder or a link"
    if what:
        raise ZooFileError(
            f"{path} is no file that zoo.save has written: its zip archive {what}; do not use it."
        )


def _is_plain_member(info: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(info.external_attr >> 16)
    return kind in (0, stat.S_IFREG) and not re.search(r"[/\\:\x00]|^\.", info.orig_filename)


def json_of(data: bytes, path: str, name: str) -> Any:
    if len(data) > JSON_LIMIT or count_of_values(data) > VALUES_LIMIT:
        raise ZooFileError(
            f"{path} holds more in its {name} than the {JSON_LIMIT} bytes with {VALUES_LIMIT} "
            "values that are read; keep large values in arrays."
        )
    try:
        return json.loads(data.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"its {name} cannot be read ({why(error)})") from error


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")
