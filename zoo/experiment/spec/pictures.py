"""Pictures in folders: one folder a class."""

from pathlib import Path
from typing import Any

import numpy as np

from zoo.experiment.spec.forms import Place

__all__ = ["load_pictures"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
LARGEST = 4096 * 4096  # pixels of one picture
TOTAL = 4 * 2**30  # bytes of all of them


def load_pictures(
    folder: Path, size: tuple[int, int] | None, place: Place
) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int]]:
    """Return rows of pixels (uint8, channels first), the class of each, and (channels, height, width).

    Parameters
    ----------
    folder : Path
        Holds one folder of pictures for each class.
    size : (height, width) or None
        What pictures are brought to; None asks that all have one size.
    place : Place
        Where errors point.
    """
    try:
        from PIL import Image
    except ImportError:
        raise place.error(
            "pictures need Pillow; install it with `pip install sklearn-zoo[images]`."
        ) from None
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    files = [
        (path, which.name)
        for which in classes
        for path in sorted(which.iterdir())
        if path.suffix.lower() in SUFFIXES and path.is_file()
    ]
    if len(classes) < 2 or not files:
        raise place.error(
            f"{folder.name} holds {len(files)} pictures in {len(classes)} folders; give one folder of "
            f"pictures ({', '.join(SUFFIXES)}) for each class."
        )
    pictures: list[np.ndarray] = []
    first: tuple[str, tuple[int, int]] | None = None
    total = 0
    for path, _ in files:
        pixels = _read(Image, path, size, place)
        shape = pixels.shape[:2]
        if first is None:
            first = (path.name, shape)
        elif shape != first[1]:
            raise place.error(
                f"{path.name} is {shape[0]} x {shape[1]} and {first[0]} is {first[1][0]} x {first[1][1]}; "
                "say under 'size' to which height and width they are brought."
            )
        total += pixels.nbytes
        if total > TOTAL:
            raise place.error(f"the pictures fill more than {TOTAL >> 30} GiB; give a smaller 'size'.")
        pictures.append(pixels)
    grey = all((p[..., :1] == p).all() for p in pictures)
    X = np.stack([p[..., :1] if grey else p for p in pictures]).transpose(0, 3, 1, 2)
    shape3 = (int(X.shape[1]), int(X.shape[2]), int(X.shape[3]))
    return X.reshape(len(X), -1), np.array([name for _, name in files], dtype=object), shape3


def _read(Image: Any, path: Path, size: tuple[int, int] | None, place: Place) -> np.ndarray:
    """Return one picture as (height, width, 3)."""
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > LARGEST:
                raise place.error(
                    f"{path.name} has {picture.width} x {picture.height} pixels, too many to read."
                )
            picture = picture.convert("RGB")
            if size is not None:
                picture = picture.resize((size[1], size[0]))
            return np.asarray(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, type(place.error(""))):
            raise
        raise place.error(f"{path.name} is no picture that can be read ({error}); replace it.") from None
