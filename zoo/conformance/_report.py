"""What the suite says: a result for each check, and the report of all."""

from dataclasses import dataclass, field
from typing import Literal


class Nonconformity(AssertionError):
    """An estimator broke the contract; the message is the sentence of the report."""


class NotApplicable(Exception):
    """A check has nothing to look at; the message says why."""


@dataclass(frozen=True)
class Result:
    """What one check found."""

    name: str
    status: Literal["passed", "failed", "skipped", "excused"]
    reason: str = ""
    source: Literal["scikit-learn", "zoo"] = "zoo"
    error: BaseException | None = field(default=None, repr=False)
    seconds: float = 0.0  # of this process

    @property
    def crashed(self) -> bool:
        """Whether the check failed by an error that no check foresaw."""
        return self.status == "failed" and self.source == "zoo" and not isinstance(self.error, Nonconformity)


@dataclass(frozen=True)
class Report:
    """What `check` found, check by check."""

    estimator: str
    results: tuple[Result, ...]

    def _with(self, *status: str) -> list[Result]:
        return [r for r in self.results if r.status in status]

    @property
    def failed(self) -> list[Result]:
        """The checks that failed."""
        return self._with("failed")

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    @property
    def n_ran(self) -> int:
        """How many checks ran; skipped ones did not."""
        return len(self._with("passed", "failed", "excused"))

    @property
    def n_sklearn(self) -> int:
        """How many of scikit-learn's checks ran."""
        return sum(r.source == "scikit-learn" for r in self._with("passed", "failed", "excused"))

    def names(self, *status: str) -> list[str]:
        """Name the checks of a status, or of any, in the order in which they ran."""
        return [r.name for r in (self._with(*status) if status else self.results)]

    def raise_for_failures(self) -> "Report":
        """Raise AssertionError with this report when a check failed; else return the report."""
        if self.failed:
            raise AssertionError(str(self))
        return self

    def __str__(self) -> str:
        """Write the summary, then every check that did not simply pass."""
        count = {s: len(self._with(s)) for s in ("passed", "failed", "excused", "skipped")}
        lines = [
            f"{self.estimator}: {self.n_ran} checks ran ({self.n_sklearn} of scikit-learn, "
            f"{self.n_ran - self.n_sklearn} of the zoo) in "
            f"{sum(r.seconds for r in self.results):.1f} s: "
            + ", ".join(f"{n} {status}" for status, n in count.items())
        ]
        for status in ("failed", "excused", "skipped"):
            alike: dict[str, list[str]] = {}
            for r in self._with(status):
                alike.setdefault(r.reason, []).append(r.name)
            for reason, names in alike.items():
                for name in names[:1] if len(names) > 3 else names:
                    lines.append(f"  {status:8s}{name}: {reason}")
                if len(names) > 3:
                    lines.append(f"          ... and so {len(names) - 1} others: {', '.join(names[1:])}")
        return "\n".join(lines)
