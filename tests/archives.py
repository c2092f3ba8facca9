"""Zips as zoo.save writes them, and as somebody would who edits one."""

import hashlib
import io
import json
import struct
import warnings
import zipfile
import zlib


def parts_of(path):
    """Return the members of a file."""
    with zipfile.ZipFile(path) as archive:
        return {n: archive.read(n) for n in archive.namelist()}


def packed(members, compression=zipfile.ZIP_STORED, **about):
    """Make a zip of (name -> bytes) or of a list of such pairs."""
    buffer = io.BytesIO()
    pairs = members.items() if isinstance(members, dict) else members
    with zipfile.ZipFile(buffer, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that come twice
        for name, content in pairs:
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            for key, value in about.items():
                setattr(info, key, value)
            archive.writestr(info, content)
    return buffer.getvalue()


def sealed(members):
    """Make a zip whose header fits its members, as an attacker would."""
    members = dict(members)
    content = json.loads(members.pop("zoo.json"))
    content["sha256"] = {n: hashlib.sha256(d).hexdigest() for n, d in members.items()}
    return packed({"zoo.json": json.dumps(content).encode()} | members)


def zeros_bomb(name, size):
    """Make a zip member of `size` zeros without ever holding them."""
    block = 2**20
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    body = first * (size // block) + b"\x03\x00"
    crc = 0
    for _ in range(size // block):
        crc = zlib.crc32(bytes(block), crc)
    encoded = name.encode()
    shared = struct.pack("<HHHHHLLLHH", 20, 0, 8, 0, 33, crc, len(body), size, len(encoded), 0)
    local = b"PK\x03\x04" + shared + encoded + body
    central = b"PK\x01\x02" + struct.pack("<H", 20) + shared + struct.pack("<HHHLL", 0, 0, 0, 0, 0)
    end = struct.pack("<HHHHLLH", 0, 0, 1, 1, len(central + encoded), len(local), 0)
    return local + central + encoded + b"PK\x05\x06" + end
