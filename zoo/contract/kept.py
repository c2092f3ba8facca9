"""What files may name beside estimators: functions and classes, under a public key.

A file outlives the module that a function stands in, so it holds a key and no path. What may be named
says so where it is defined; everything else of the package is refused.
"""

from collections.abc import Callable
from typing import Any, TypeVar

Named = TypeVar("Named", bound=Callable[..., Any])

_BY_KEY: dict[str, Any] = {}


def kept(key: str) -> Callable[[Named], Named]:
    """Let files name a function or class under this key; `python -m zoo.registry` notes where it stands.

    Parameters
    ----------
    key : str
        An identifier that no estimator bears. It is for ever: files of later versions are read by it.

    Examples
    --------
    >>> from zoo.contract.kept import key_of
    >>> from zoo.contract.logits import softmax
    >>> key_of(softmax)
    'softmax'
    """

    def note(thing: Named) -> Named:
        known = _BY_KEY.get(key, thing)
        # A module that is loaded a second time defines its own things anew.
        if (known.__module__, known.__qualname__) != (thing.__module__, thing.__qualname__):
            raise ValueError(
                f"files know {known.__module__}.{known.__qualname__} as {key!r}; take another key."
            )
        _BY_KEY[key] = thing
        return thing

    return note


def key_of(thing: Any) -> str | None:
    """Return the key under which files name this; None where they may not."""
    return next((key for key, known in _BY_KEY.items() if known is thing), None)


def under_key(key: str) -> Any:
    """Return what bears this key; its module has been imported."""
    return _BY_KEY[key]
