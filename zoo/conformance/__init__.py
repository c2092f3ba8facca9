"""The conformance suite, which asks whether an estimator keeps the contract that it inherits.

>>> from zoo import Ridge
>>> from zoo.conformance import check
>>> report = check(Ridge)
>>> report.ok, report.n_sklearn >= 50
(True, True)

`check` runs everything of scikit-learn's ``check_estimator`` on the flattened form, then the suites
of the zoo: for everyone, by role, by input, by capability. A check is a small function from a
`Case` to nothing; it raises `Nonconformity` with one sentence. `EVERYONE`, `BY_ROLE`, `BY_INPUT`
and `BY_CAPABILITY`, each beside its checks, say who gets which.

A class names the checks that it cannot pass, and why, in ``excused``; scikit-learn's checks are
excused in the same place. An excuse for a check that passes is a failure.
"""

from zoo.conformance._case import Case
from zoo.conformance._report import Nonconformity, Report, Result
from zoo.conformance._suite import check, check_names, instance

__all__ = ["Case", "Nonconformity", "Report", "Result", "check", "check_names", "instance"]
