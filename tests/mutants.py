"""Mutants: small wrong changes of the source, each of which some test must see.

``python tests/mutants.py`` plants them one by one in a copy of the tree, runs the tests that are meant for
them and says who survived. ``python tests/mutants.py losses replay`` takes only those whose file has such a
word in its path. Neither pytest nor CI collects this: all of them take an hour.

A mutant is a text of a file and what replaces it. White space between the words of the text may differ, and
a file that has moved is found by the text, as long as it stands in one file only. A mutant whose text is
gone is reported and counts as a failure: it must be planted anew.
"""

import ast
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 240  # of CPU, for the tests of one mutant

# file, tests that are meant for it, and (text, replacement) pairs.
PLANTED: list[tuple[str, str, list[tuple[str, str]]]] = [
    # -- losses -----------------------------------------------------------------------------------
    (
        "zoo/engines/losses.py",
        "tests/engines/test_losses.py",
        [
            (
                "at = np.searchsorted(total, q * total[-1] * (1 - 1e-12))",
                "at = np.searchsorted(total, q * total[-1] * (1 + 1e-12))",
            ),
            (
                "at = np.searchsorted(total, q * total[-1] * (1 - 1e-12))",
                "at = np.searchsorted(total, q * len(y) * (1 - 1e-12))",
            ),
            ("total = np.cumsum(w[order])", "total = np.cumsum(w)"),
            ("return np.where(s >= 0, 1, e) / (1 + e)", "return np.where(s >= 0, e, 1) / (1 + e)"),
            (
                "return np.maximum(self.quantile * r, (self.quantile - 1) * r)",
                "return np.maximum(self.quantile * r, (1 - self.quantile) * r)",
            ),
            (
                "return np.where(y > s, -q, np.where(y < s, 1 - q, 0.0))",
                "return np.where(y > s, -q, np.where(y < s, q, 0.0))",
            ),
            ("self.delta * (r - 0.5 * self.delta)", "self.delta * (r - self.delta)"),
            ("return np.clip(s - y, -self.delta, self.delta)", "return s - y"),
            ("return _sigmoid(s) * _sigmoid(-s)", "return _sigmoid(s)"),
            ("+ top - s[np.arange(len(s)), y]", "- s[np.arange(len(s)), y]"),
            ("return p * (1 - p)", "return p"),
            ("return _sigmoid(2 * s)", "return _sigmoid(s)"),
            (
                "return np.where(y * s < 1, 2, 0).astype(s.dtype)",
                "return np.where(y * s < 1, 1, 0).astype(s.dtype)",
            ),
            (
                "share = np.bincount(y, weights=w).astype(np.float64)",
                "share = np.bincount(y).astype(np.float64)",
            ),
        ],
    ),
    # -- the contract -----------------------------------------------------------------------------
    (
        "zoo/contract/logits.py",
        "tests/contract/test_logits.py",
        [
            (
                "return -np.column_stack([np.logaddexp(0, s), np.logaddexp(0, -s)])",
                "return -np.column_stack([np.logaddexp(0, -s), np.logaddexp(0, s)])",
            ),
            ("s = s - s.max(axis=-1, keepdims=True)", "s = s - 0"),
        ],
    ),
    (
        "zoo/contract/params.py",
        "tests/contract/test_params.py",
        [
            (
                'value >= self.low if self.closed in ("both", "left")',
                'value > self.low if self.closed in ("both", "left")',
            ),
            ("if math.isnan(value): return False", "if math.isnan(value): return True"),
            (
                "return isinstance(value, Integral) and not isinstance(value, bool | np.bool_)",
                "return isinstance(value, Integral)",
            ),
            (
                "np.geomspace(self.low, self.high, n) if self.log",
                "np.geomspace(self.low, self.high, n) if not self.log",
            ),
            ('value.startswith("cuda:") and value[5:].isdigit()', 'value.startswith("cuda:")'),
        ],
    ),
    (
        "zoo/contract/estimator.py",
        "tests/contract/test_estimator.py tests/svm/test_one_class_svm.py",
        [
            (
                "if isinstance(error, Exception) or not self.__sklearn_is_fitted__(): self._restore(before)",
                "if False: self._restore(before)",
            ),
            ("self.__dict__.update(state | kept)", "self.__dict__.update(kept)"),
            ("self._kept = kept = np.flatnonzero(w)", "self._kept = kept = np.arange(len(w))"),
            ("X = X[np.ix_(kept, kept)] if pairwise else take(X, kept)", "X = take(X, kept)"),
            ("limit=1 if partial else None", "limit=2 if partial else None"),
            (
                "X = to_dtype(self.input.check(self, X_val, reset=False), self.dtype_)",
                "X = self.input.check(self, X_val, reset=False)",
            ),
            ("np.random.RandomState() if state is None else state", "None if state is None else state"),
        ],
    ),
    (
        "zoo/contract/targets.py",
        "tests/contract/test_targets.py tests/contract/test_estimator.py",
        [
            ("strange = known[numbers] != y", "strange = known[numbers] != known[numbers]"),
            ("several = len(columns) > 1", "several = len(columns) > 2"),
            ("return estimator.classes_[answers]", "return answers"),
            (
                'if y.dtype.kind == "f" and not np.isfinite(y).all():',
                'if y.dtype.kind == "f" and np.isnan(y).all():',
            ),
        ],
    ),
    (
        "zoo/contract/roles/classifier.py",
        "tests/contract/test_estimator.py",
        [
            (
                "return s[..., 1] - s[..., 0] if s.shape[-1] == 2",
                "return s[..., 0] - s[..., 1] if s.shape[-1] == 2",
            ),
            ("np.stack([np.zeros_like(s), s], axis=-1)", "np.stack([s, np.zeros_like(s)], axis=-1)"),
            ("np.prod(factors if w is None else [w, *factors], axis=0)", "np.prod(factors, axis=0)"),
            (
                "right = (self.predict(X) == np.asarray(y)).all(axis=1)",
                "right = (self.predict(X) == np.asarray(y)).any(axis=1)",
            ),
            ("return float(np.average(right, weights=w))", "return float(np.average(right))"),
        ],
    ),
    (
        "zoo/contract/roles/sampler.py",
        "tests/contract/test_estimator.py tests/generative/test_vae.py",
        [
            (
                "count = np.bincount(y, weights=w, minlength=len(self.classes_))",
                "count = np.bincount(y, minlength=len(self.classes_))",
            ),
            ("return np.column_stack(given) + np.log(self.class_prior_)", "return np.column_stack(given)"),
            (
                "self.score(X) / (int(self.n_features_in_) * np.log(2))",
                "self.score(X) / int(self.n_features_in_)",
            ),
        ],
    ),
    (
        "zoo/contract/draws.py",
        "tests/contract/test_estimator.py tests/test_conformance.py::test_healthy_estimator_passes",
        [
            (
                "return np.random.default_rng(self._sequence.spawn(1)[0])",
                "return np.random.default_rng(self._sequence)",
            ),
            ("return int(random_state.integers(np.iinfo(np.int32).max))", "return 0"),
        ],
    ),
    (
        "zoo/contract/steps.py",
        "tests/contract/test_estimator.py",
        [
            (
                "n = self._limit if n is None else min(n, self._limit)",
                "n = self._limit if n is None else max(n, self._limit)",
            ),
            ("if self._close(depth): return", "self._close(depth)"),
        ],
    ),
    # -- linear -----------------------------------------------------------------------------------
    (
        "zoo/engines/linear/left_out.py",
        "tests/linear/test_ridge_cv.py tests/engines/linear/test_left_out.py",
        [
            ("tall = design.d < design.n - design.intercept", "tall = design.d < design.n"),
            ("h = own[rows, None] + ((Q * Q) @ shrink)", "h = ((Q * Q) @ shrink)"),
            ("(1 if weights is None else weights[rows, None])", "1"),
            ("least = 1e-8 if s.dtype == np.float64 else 1e-2", "least = 0.0"),
            (
                "alone = (room <= 4 * np.finfo(room.dtype).eps).any(axis=1)",
                "alone = (room <= -1).any(axis=1)",
            ),
            (
                "G, c = G - _outer(mx, mx) / total, c - _outer(mx, my) / total",
                "G, c = G, c - _outer(mx, my) / total",
            ),
        ],
    ),
    (
        "zoo/linear/ridge_cv.py",
        "tests/linear/test_ridge_cv.py",
        [
            (
                "share = ls.on_host(design.shares(rows)) / len(splits)",
                "share = ls.on_host(design.shares(slice(None)))[rows]",
            ),
            (
                "scores = -errors if each else -errors.mean(axis=1)",
                "scores = -errors if each else -errors.max(axis=1)",
            ),
            ("best = scores.argmax(axis=0)", "best = scores.argmin(axis=0)"),
        ],
    ),
    (
        "zoo/linear/lasso.py",
        "tests/linear/test_lasso.py",
        [
            ("self.n_iter_ = max(self.n_iter_, sweeps)", "self.n_iter_ = sweeps"),
            ("squares = design.shares(slice(None)) @ design.Y**2", "squares = (design.Y**2).mean(axis=0)"),
            (
                "top = np.abs(data.cross_of(t)).max() / self.l1_ratio",
                "top = np.abs(data.cross_of(t)).max() * self.l1_ratio",
            ),
            ("late = late or sweeps >= self.max_iter", "late = late or sweeps > self.max_iter"),
        ],
    ),
    (
        "zoo/linear/lasso_cv.py",
        "tests/linear/test_lasso_cv.py",
        [
            (
                "self.alphas_ = np.geomspace(top, top * self.eps, self.n_alphas)",
                "self.alphas_ = np.geomspace(top, self.eps, self.n_alphas)",
            ),
            ("share = np.ones(len(r)) if w is None else w[out]", "share = np.ones(len(r))"),
            ("v = None if w is None else w[rest]", "v = None"),
            ("r = y[out, None] - my - (X[out] @ B.T - B @ mx)", "r = y[out, None] - my - X[out] @ B.T"),
            ("if max(late, sweeps) >= self.max_iter:", "if sweeps >= 10 * self.max_iter:"),
        ],
    ),
    (
        "zoo/linear/bradley_terry.py",
        "tests/linear/test_bradley_terry.py",
        [
            ("self._lam = 1 / (float(self.C) * w.sum())", "self._lam = 1 / (float(self.C) * n)"),
            ("dt = -w * tied * (won - lost) / 2", "dt = w * tied * (won - lost) / 2"),
            ("dd = w * ((won + lost) / 4 - ((won - lost) / 2) ** 2)", "dd = w * ((won + lost) / 4)"),
            ("self.strengths_ -= self.strengths_.mean()", "self.strengths_ -= 0"),
            (
                "order = np.argsort(-self.strengths_, kind='stable')",
                "order = np.argsort(self.strengths_, kind='stable')",
            ),
            ("B = B - B.mean(axis=0)", "B = B - 0"),
        ],
    ),
    (
        "zoo/linear/scaling_law.py",
        "tests/linear/test_scaling_law.py",
        [
            ("N = G * budget ** (b / (a + b))", "N = G * budget ** (a / (a + b))"),
            ("bounded = np.clip(r, -1, 1)", "bounded = r"),
            ("tail = (1 - self.level) / 2", "tail = 1 - self.level"),
            ("count = rng.multinomial(len(v), share) / len(v)", "count = share"),
            ("-((e[:, None] * x) * P[:, 1:]).sum(axis=0)", "((e[:, None] * x) * P[:, 1:]).sum(axis=0)"),
        ],
    ),
    (
        "zoo/linear/piecewise.py",
        "tests/linear/test_piecewise.py",
        [
            ("share = np.arange(1, p + 1) / (p + 1)", "share = np.arange(1, p + 1) / p"),
            ("sign = 1 if self.monotone == 'increasing' else -1", "sign = 1"),
            ("sign = 1 if self.curvature == 'convex' else -1", "sign = 1"),
            ("middle = (mass - np.diff(mass, prepend=0) / 2) / mass[-1]", "middle = mass / mass[-1]"),
            ("mass = np.cumsum(np.bincount(inverse, w))", "mass = np.cumsum(np.bincount(inverse))"),
            ("root = np.sqrt(w)", "root = w"),
        ],
    ),
    # -- kernel machines --------------------------------------------------------------------------
    (
        "zoo/engines/kernels/dual.py",
        "tests/svm/test_svc.py tests/svm/test_one_class_svm.py",
        [
            (
                "float(X.multiply(X).sum()) / size - (float(X.sum()) / size) ** 2",
                "float(X.multiply(X).sum()) / size",
            ),
            (
                "return 1.0 / (X.shape[1] * variance) if variance > 0 else 1.0",
                "return 1.0 / variance if variance > 0 else 1.0",
            ),
            ("u[order] = np.clip(mass - before, 0.0, hi[order])", "u[order] = mass / n"),
        ],
    ),
    (
        "zoo/svm/svc.py",
        "tests/svm/test_svc.py",
        [
            (
                "lo, hi = np.where(s > 0, 0.0, -price), np.where(s > 0, price, 0.0)",
                "lo, hi = np.where(s > 0, 0.0, -self.C), np.where(s > 0, self.C, 0.0)",
            ),
            (
                "table[a][b - 1], table[b][a] = u[: len(rows[a])], u[len(rows[a]) :]",
                "table[a][b - 1], table[b][a] = u[: len(rows[a])], -u[len(rows[a]) :]",
            ),
            ("return votes + sums / (3 * (np.abs(sums) + 1))", "return sums"),
            (
                "self.intercept_[p], self.n_iter_[p] = answer.b, answer.n_iter",
                "self.intercept_[p], self.n_iter_[p] = -answer.b, answer.n_iter",
            ),
            (
                "index = np.flatnonzero((y == pair[0]) | (y == pair[1]))",
                "index = np.flatnonzero(y >= pair[0])",
            ),
        ],
    ),
    (
        "zoo/svm/one_class_svm.py",
        "tests/svm/test_one_class_svm.py",
        [
            (
                "start = spread(kernel, hi, float(self.nu * hi.sum()))",
                "start = spread(kernel, hi, float(self.nu * len(hi)))",
            ),
            (
                "self.intercept_ = np.array([-rho], self.dtype_)",
                "self.intercept_ = np.array([rho], self.dtype_)",
            ),
        ],
    ),
    (
        "zoo/svm/linear_svc.py",
        "tests/svm/test_linear_svc.py",
        [
            ("self.intercept_[p] = v[d] * self._scaling()", "self.intercept_[p] = v[d]"),
            (
                "c = self.C * (np.ones(n) if w is None else np.asarray(w, np.float64))",
                "c = self.C * np.ones(n)",
            ),
            ("dual -= float((alpha**2 / (4 * c)).sum())", "dual -= float((alpha**2 / (2 * c)).sum())"),
            ("unfinished = unfinished or not done", "unfinished = not done"),
        ],
    ),
    # -- trees ------------------------------------------------------------------------------------
    (
        "zoo/trees/ada_boost.py",
        "tests/trees/test_ada_boost.py",
        [
            ("if e >= 1 - 1 / len(self.classes_):", "if e >= 0.5:"),
            ("np.log(odds) + np.log(len(self.classes_) - 1)", "np.log(odds)"),
            ("w[missed] *= np.exp(alpha)", "w[~missed] *= np.exp(-2 * alpha)"),
            (
                "limits = Limits( max_leaves=2**self.max_depth, max_depth=self.max_depth,",
                "limits = Limits( max_leaves=2, max_depth=self.max_depth,",
            ),
            ("mean = votes @ np.divide(own, total", "mean = np.ones(len(votes)) @ np.divide(own, total"),
            ("model.fit(X, labels, sample_weight=w * len(w))", "model.fit(X, labels)"),
        ],
    ),
    (
        "zoo/engines/trees/boosting.py",
        "tests/trees/test_boosting.py",
        [
            (
                "self.losses.append(self.objective.value(self.y, self.scores, self.w))",
                "self.losses.append(self.objective.value(self.y, self.scores, None))",
            ),
            ("before = min(self.losses[: -self.patience])", "before = self.losses[-self.patience - 1]"),
            ("> before - self.tol or", "> before + self.tol or"),
            ("tree.value[:] *= self.learning_rate", "tree.value[:] *= 1.0"),
            (
                "self.rng.uniform(size=self.X.shape[0]) < self.sampling.rows",
                "self.rng.uniform(size=self.X.shape[0]) > self.sampling.rows",
            ),
            ("pair[second] *= np.float32((1 - top) / other)", "pair[second] *= np.float32(1)"),
            ("lower, upper = (l, l + 1) if direction > 0 else (l + 1, l)", "lower, upper = (l, l + 1)"),
            (
                "leaf_quantile(residuals, q, None if self.w is None else self.w[at])",
                "leaf_quantile(residuals, q, None)",
            ),
            ("first = np.argpartition(-size, k - 1)[:k]", "first = np.argpartition(size, k - 1)[:k]"),
            (
                "return X[a], y[a], None if w is None else w[a], (X[b], y[b], None if w is None else w[b])",
                "return X[a], y[a], None if w is None else w[a], (X[b], y[b], None)",
            ),
        ],
    ),
    (
        "zoo/engines/trees/bootstrap.py",
        "tests/engines/trees/test_bootstrap.py tests/trees/test_random_forest.py",
        [
            ("out = np.flatnonzero(counts(t) == 0)", "out = np.arange(len(X))"),
            ("rise[j, t] = wrong() - before", "rise[j, t] = wrong()"),
            ("w = np.ones(len(Y)) if w is None else np.asarray(w, np.float64)", "w = np.ones(len(Y))"),
            ("Z[:, j] = own", "pass"),
        ],
    ),
    # -- the trainer ------------------------------------------------------------------------------
    (
        "zoo/engines/neural/optim.py",
        "tests/engines/neural/test_optim.py",
        [
            (
                'torch._foreach_mul_(buffers, group["momentum"])',
                'torch._foreach_mul_(buffers, 1 - group["momentum"])',
            ),
            (
                'torch._foreach_addcmul_(squares, grads, grads, value=1 - group["alpha"])',
                'torch._foreach_addcmul_(squares, grads, grads, value=group["alpha"])',
            ),
            (
                'torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])',
                'torch._foreach_mul_(params, 1 - group["weight_decay"])',
            ),
            ("(state['step'].item() - 1) * group['lr_decay']", "state['step'].item() * group['lr_decay']"),
            ("if rho > 5:", "if rho > 1e9:"),
            (
                "rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)",
                "rho = rho_inf - t * beta2**t / (1 - beta2**t)",
            ),
            ("f * (1 + 1 / (gamma * t))", "f * (1 + 1 / gamma)"),
            ("f = group['final_lr'] * alpha / group['base_lr']", "f = group['final_lr']"),
            (
                "kernel = torch._fused_adamw_ if group['decoupled_weight_decay'] else torch._fused_adam_",
                "kernel = torch._fused_adam_",
            ),
            ("known[1].add_(1)", "known[1].add_(0)"),
        ],
    ),
    (
        "zoo/engines/neural/step.py",
        "tests/engines/neural/test_step.py tests/engines/neural/test_trainer.py",
        [
            ("self._set_training(False) X, y = unpack_data(batch)", "X, y = unpack_data(batch)"),
            ("return (w * loss).sum() / w.sum()", "return (w * loss).sum() / len(w)"),
            ("with torch.no_grad(), self._autocast():", "with self._autocast():"),
            (
                "loss = loss.flatten(1).mean(1) if loss.ndim > 1 else loss",
                "loss = loss.flatten(1).sum(1) if loss.ndim > 1 else loss",
            ),
        ],
    ),
    (
        "zoo/engines/neural/trainer.py",
        "tests/engines/neural/test_trainer.py",
        [
            ("return float(np.average(losses, weights=weights))", "return float(np.average(losses))"),
            (
                "X, y, w = take(X, keep), take(y, keep), w[keep]",
                "X, y, w = take(X, keep), take(y, keep), w[: len(keep)]",
            ),
            ("options.setdefault('shuffle', True)", "options.setdefault('shuffle', False)"),
            (
                "self.noise_generator_ = self._new_noise_generator(seed)",
                "self.noise_generator_ = self._new_noise_generator(0)",
            ),
            (
                "nn.utils.clip_grad_norm_([p for _, p in named_parameters], largest)",
                "nn.utils.clip_grad_value_([p for _, p in named_parameters], largest)",
            ),
            (
                "train, valid = self.get_dataset(X, y), self._validation_dataset(val)",
                "train, valid = self.get_dataset(X, y), self.get_dataset(X, y)",
            ),
            ("self.interrupted_ = True", "self.interrupted_ = False"),
        ],
    ),
    (
        "zoo/engines/neural/estimator.py",
        "tests/engines/neural/test_estimator.py tests/mlp/test_mlp.py",
        [
            (
                "return pick(train, X), pick(train, y), pick(train, w), val",
                "return pick(train, X), pick(train, y), None if w is None else w[: len(train)], val",
            ),
            ("val = pick(held, X), pick(held, y), pick(held, w)", "val = pick(held, X), pick(held, y), None"),
            (
                "return ('train_loss', False) if val is None else ('valid_loss', True)",
                "return ('train_loss', False)",
            ),
            (
                "output = self._forward(X) * self.y_scale_ + self.y_mean_",
                "output = self._forward(X) * self.y_scale_",
            ),
            (
                "scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=w))",
                "scale = np.sqrt(np.average((X - mean) ** 2, axis=0))",
            ),
            ("mean = np.average(X, axis=0, weights=w)", "mean = np.average(X, axis=0)"),
            ("label_smoothing=float(self.label_smoothing)", "label_smoothing=0.0"),
            ("self.seed_ = int(self._random_source().randint(2**31 - 1))", "self.seed_ = 0"),
            ("return count.min() >= 2 and", "return count.min() >= 0 and"),
        ],
    ),
    (
        "zoo/engines/neural/augment.py",
        "tests/engines/neural/test_augment.py",
        [
            (
                "return X, (1 - self.eps) * y + self.eps / self.n_classes, w",
                "return X, (1 - self.eps) * y + self.eps, w",
            ),
            ("share, other = lam * w, (1 - lam) * w[partner]", "share, other = lam * w, (1 - lam) * w"),
            ("side = (1 - lam) ** 0.5", "side = 1 - lam"),
            ("return lam * X + (1 - lam) * X[partner], y, w", "return lam * X + (1 - lam) * X, y, w"),
            (
                "y, w = self._mix_targets(y, w, X, partner, 1 - pasted)",
                "y, w = self._mix_targets(y, w, X, partner, lam)",
            ),
            (
                "return torch.where(place >= size, 2 * (size - 1) - place, place)",
                "return torch.where(place >= size, size - 1, place)",
            ),
            (
                "return torch.where(flipped, X.flip(-1), X), y, w",
                "return torch.where(flipped, X.flip(-2), X), y, w",
            ),
        ],
    ),
    (
        "zoo/engines/neural/schedules.py",
        "tests/engines/neural/test_schedules.py",
        [
            (
                '"step": {"step_size": max(1, max_epochs // 3), "gamma": 0.1}',
                '"step": {"step_size": max(1, max_epochs // 2), "gamma": 0.1}',
            ),
            ('"cosine": {"T_max": max(1, max_epochs)}', '"cosine": {"T_max": max(1, 2 * max_epochs)}'),
            (
                '"warm_up_cosine": {"warm_up": max(1, total // 10), "total": total}',
                '"warm_up_cosine": {"warm_up": max(1, total // 10), "total": 2 * total}',
            ),
        ],
    ),
    # -- modules ----------------------------------------------------------------------------------
    (
        "zoo/engines/modules/attention.py",
        "tests/engines/modules/test_attention.py tests/text/test_gpt.py",
        [
            (
                "score = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])",
                "score = q @ k.transpose(-2, -1) / q.shape[-1]",
            ),
            ("dtype=torch.bool, device=q.device).tril()", "dtype=torch.bool, device=q.device).triu()"),
            (
                "seen = torch.arange(n, device=kv.device) < self.lengths[:, None]",
                "seen = torch.arange(n, device=kv.device) <= self.lengths[:, None]",
            ),
            (
                "self.pairs = [pairs[rows] for pairs in self.pairs]",
                "self.pairs = [pairs[: len(rows)] for pairs in self.pairs]",
            ),
            ("lengths[rows] = other.lengths", "lengths[rows] = lengths[rows]"),
            ("gate = gate / gate.sum(-1, keepdim=True)", "gate = gate / 1"),
            ("return E * (f * probability.mean(0)).sum()", "return (f * probability.mean(0)).sum()"),
            ("pairs[:, :, :, n - 1 : n] = kv", "pairs[:, :, :, n : n + 1] = kv"),
        ],
    ),
    (
        "zoo/engines/modules/recurrent.py",
        "tests/sequence/test_rnn.py",
        [
            (
                "mean = h.masked_fill(outside, 0).sum(1) / lengths[:, None].to(h.dtype)",
                "mean = h.masked_fill(outside, 0).mean(1)",
            ),
            ("most = h.masked_fill(outside, -torch.inf).amax(1)", "most = h.masked_fill(outside, 0).amax(1)"),
            ("bias[hidden_size : 2 * hidden_size] = 1.0", "bias[:hidden_size] = 1.0"),
            ("return (losses * true).sum(1) / true.sum(1).to(losses.dtype)", "return losses.mean(1)"),
            ("h, s = layer(h, None if state is None else state[i])", "h, s = layer(h, None)"),
        ],
    ),
    # -- language ---------------------------------------------------------------------------------
    (
        "zoo/engines/language/decoding.py",
        "tests/text/test_gpt.py",
        [
            (
                "picked: np.ndarray = (total <= u[:, None] * total[:, -1:]).sum(axis=1)",
                "picked: np.ndarray = (total <= u[:, None]).sum(axis=1)",
            ),
            (
                "s[s < np.partition(s, -top_k, axis=1)[:, [-top_k]]] = -np.inf",
                "s[s < np.partition(s, -top_k, axis=1)[:, [-1]]] = -np.inf",
            ),
            (
                "ranked[ranked.cumsum(axis=1) - ranked >= top_p * ranked.sum(axis=1, keepdims=True)] = 0",
                "ranked[ranked.cumsum(axis=1) >= top_p * ranked.sum(axis=1, keepdims=True)] = 0",
            ),
            (
                "s = logits.double().cpu().numpy() / temperature",
                "s = logits.double().cpu().numpy() * temperature",
            ),
            (
                "alive, tokens = alive[going], tokens[going]",
                "alive, tokens = alive[: len(going)], tokens[going]",
            ),
            (
                "yield d, slice(stop - new, stop), value[stop - new - start : stop - start]",
                "yield d, slice(stop - new, stop), value[:new]",
            ),
        ],
    ),
    (
        "zoo/engines/language/windows.py",
        "tests/engines/language/test_windows.py tests/text/test_gpt.py",
        [
            ("return stride * (-(-max(0, n - T) // stride))", "return max(0, n - T)"),
            (
                "circular = stream[np.arange(n * T + 1) % len(stream)]",
                "circular = stream[np.minimum(np.arange(n * T + 1), len(stream) - 1)]",
            ),
            ("yield start, stop, stop - read", "yield start, stop, stop - start"),
        ],
    ),
    (
        "zoo/engines/language/tokens.py",
        "tests/engines/language/test_tokens.py",
        [
            ("return np.where(self._codes[place] == codes, place + 2, UNKNOWN)", "return (place + 2)"),
            ("return float(np.log(CODE_POINTS - len(self.characters)))", "return float(np.log(CODE_POINTS))"),
        ],
    ),
    # -- generative -------------------------------------------------------------------------------
    (
        "zoo/generative/_vae.py",
        "tests/generative/test_vae.py",
        [
            (
                "return self.beta * kl - reconstruction / self.n_draws",
                "return self.beta * kl - reconstruction",
            ),
            (
                "return 0.5 * (mean.square() + torch.exp(2 * log_sd) - 1 - 2 * log_sd).sum(1)",
                "return 0.5 * (mean.square() + torch.exp(log_sd) - 1 - log_sd).sum(1)",
            ),
            (
                "return torch.logsumexp(log_p + log_ratio, 0) - math.log(len(draws))",
                "return torch.logsumexp(log_p + log_ratio, 0)",
            ),
            (
                "return log_p.mean(0) - gaussian_kl(mean, log_sd)",
                "return log_p[0] - gaussian_kl(mean, log_sd)",
            ),
            ("+ 0.5 * math.log(2 * math.pi)).sum(1) - unit", "+ 0.5 * math.log(2 * math.pi)).sum(1)"),
            (
                "mean, log_sigma = out.unflatten(1, (2, -1)).unbind(1)",
                "log_sigma, mean = out.unflatten(1, (2, -1)).unbind(1)",
            ),
        ],
    ),
    (
        "zoo/generative/vae.py",
        "tests/generative/test_vae.py",
        [
            (
                "x = mean + sigma * draws.normal(*mean.shape)",
                "x = mean + sigma**2 * draws.normal(*mean.shape)",
            ),
            (
                "np.clip(np.floor(x), 0, self.levels - 1) if self.levels else x",
                "np.clip(np.round(x), 0, self.levels - 1) if self.levels else x",
            ),
            ("filled = np.where(missing, expected, X)", "filled = expected"),
            (
                "return np.mean( [self._run('bound', rows + o, y, noise, **options) for o in offsets",
                "return np.mean( [self._run('bound', rows, y, noise, **options) for o in offsets",
            ),
            ("share * self._decoded(Z, np.full(len(Z), k))[0]", "self._decoded(Z, np.full(len(Z), k))[0]"),
        ],
    ),
    (
        "zoo/engines/diffusion/schedules.py",
        "tests/engines/diffusion/test_schedules.py",
        [
            ("return abar / (1 - abar)", "return abar / (1 + abar)"),
            ("return abar**0.5 * u + (1 - abar) ** 0.5 * eps", "return abar * u + (1 - abar) ** 0.5 * eps"),
            ("b = alpha**0.5 * (1 - abar_t) / (1 - abar_s)", "b = alpha * (1 - abar_t) / (1 - abar_s)"),
            ("c = (1 - abar_t) * (1 - alpha) / (1 - abar_s)", "c = (1 - alpha) / (1 - abar_s)"),
            ("return abar_t**0.5 - b * abar_s**0.5, b", "return abar_t**0.5 + b * abar_s**0.5, b"),
            (
                "return 0.5 * (abar * u_square - d * abar - d * log(1 - abar))",
                "return 0.5 * (abar * u_square - d * abar)",
            ),
            (
                "return (z - (1 - abar) ** 0.5 * output) / abar**0.5",
                "return (z - (1 - abar) * output) / abar**0.5",
            ),
            (
                "return gaussian_logits(z, W, t, (1 - t) ** 2 + sigma**2)",
                "return gaussian_logits(z, W, t, (1 - t) ** 2)",
            ),
        ],
    ),
    # -- layerwise and NoProp ---------------------------------------------------------------------
    (
        "zoo/engines/layerwise/layered.py",
        "tests/noprop/test_local_loss.py tests/noprop/test_feedback_alignment.py "
        "tests/noprop/test_forward_forward.py tests/noprop/test_difference_target_prop.py",
        [
            (
                "h = F.relu(layer(h.detach())) scores.append(readout(h))",
                "h = F.relu(layer(h)); scores.append(readout(h))",
            ),
            ("h = h.detach()", "h = h * 1"),
            (
                "delta = ((top if self.direct else delta) @ getattr(self, f'B{l}')) * (",
                "delta = (delta @ getattr(self, f'B{l}')) * (",
            ),
            ("1 - h[l + 1] ** 2", "1 - h[l + 1]"),
            (
                "wrong = (y + 1 + (u * (self.k - 1)).long().clamp(max=self.k - 2)) % self.k",
                "wrong = (y + (u * (self.k - 1)).long().clamp(max=self.k - 2)) % self.k",
            ),
            (
                "F.softplus(self.threshold - g) + F.softplus(b - self.threshold)",
                "F.softplus(self.threshold - g) + F.softplus(self.threshold - b)",
            ),
            (
                "targets.append(h[l] - torch.tanh(g(h[l + 1])) + torch.tanh(g(targets[-1])))",
                "targets.append(torch.tanh(g(targets[-1])))",
            ),
            ("near = h[l] + self.noise * self.normal_like(h[l])", "near = h[l]"),
            (
                "with torch.no_grad(): h = self.states(x) targets = self.targets(h, y)",
                "h = self.states(x); targets = self.targets(h, y)",
            ),
        ],
    ),
    (
        "zoo/engines/layerwise/blocks.py",
        "tests/noprop/test_dt.py tests/engines/layerwise/test_estimator.py",
        [
            ("bound = 1 / math.sqrt(max(fan_in, 1))", "bound = 1 / max(fan_in, 1)"),
            (
                "square = sum(g.flatten(1).square().sum(1) for g in grads)",
                "square = sum(g.square().sum() for g in grads).expand(self.K)",
            ),
        ],
    ),
    # -- recommenders -----------------------------------------------------------------------------
    (
        "zoo/recommend/matrix_factorization.py",
        "tests/recommend/test_matrix_factorization.py",
        [
            ("candidates[self.seen_[first:last, 1]] = False", "pass"),
            ("return np.clip(s, *self.y_range_) if self.clip and", "return s if self.clip and"),
            ("e, known = w * y, float(w.sum())", "e, known = y, float(w.sum())"),
            (
                "y, w = np.ones(len(r)), self.confidence * r",
                "y, w = np.ones(len(r)), self.confidence * np.ones(len(r))",
            ),
            ("cosine = Q @ Q[i] / np.maximum(size * size[i], np.finfo(float).tiny)", "cosine = Q @ Q[i]"),
            ("s += _rows.gather(self.item_biases_, items, 0.0)", "s += 0.0"),
        ],
    ),
    (
        "zoo/engines/factors/sweeps.py",
        "tests/recommend/test_matrix_factorization.py",
        [
            (
                "total_user = np.bincount(users, w, shape[0]) + alpha_bias",
                "total_user = np.bincount(users, minlength=shape[0]) + alpha_bias",
            ),
            ("total = np.bincount(place, r)", "total = np.bincount(place)"),
        ],
    ),
    # -- agents -----------------------------------------------------------------------------------
    (
        "zoo/engines/acting/replay.py",
        "tests/engines/acting/test_replay.py",
        [
            ("discounts=discounts * ~self.terminated.take(last)", "discounts=discounts"),
            (
                "discounts=discounts * ~self.terminated.take(last)",
                "discounts=discounts * ~self.ended.take(last)",
            ),
            (
                "return returns, self._powers.take(m), ahead[m - 1, np.arange(len(rows))]",
                "return returns, self._powers.take(m), ahead[-1]",
            ),
            (
                "weights = ((p / p.min()) ** -self.beta).astype(np.float32)",
                "weights = ((p / p.min()) ** self.beta).astype(np.float32)",
            ),
            (
                "p = (np.abs(errors).astype(np.float64) + self.eps) ** self.alpha",
                "p = np.abs(errors).astype(np.float64) + self.eps",
            ),
            ("np.where(t.real, self.largest, 0.0)", "np.where(t.real, 1.0, 1.0)"),
            (
                "self.filled = min(self.filled + self.n_envs, self.capacity)",
                "self.filled = self.filled + self.n_envs",
            ),
        ],
    ),
    (
        "zoo/engines/acting/returns.py",
        "tests/engines/acting/test_returns.py",
        [
            (
                "delta = rewards + gamma * next_values * ~terminated - values",
                "delta = rewards + gamma * next_values - values",
            ),
            (
                "carried = gamma * gae_lambda * ~(terminated | truncated)",
                "carried = gamma * gae_lambda * ~terminated",
            ),
            ("follows = np.where(truncated[t], next_values[t], after)", "follows = after"),
            (
                "stops = live & (terminated[k] | truncated[k] | (k == min(t + n, T) - 1))",
                "stops = live & (terminated[k] | (k == min(t + n, T) - 1))",
            ),
        ],
    ),
    (
        "zoo/engines/acting/losses.py",
        "tests/engines/acting/test_losses.py",
        [
            ("return slope * (delta - slope / 2), slope", "return slope * delta, slope"),
            ("loss = -np.minimum(ratio * advantages, clipped * advantages)", "loss = -clipped * advantages"),
            ("free = ratio * advantages <= clipped * advantages", "free = np.ones(len(ratio), bool)"),
            (
                "slope -= ent_coef * distribution.entropy_gradient(z)",
                "slope += ent_coef * distribution.entropy_gradient(z)",
            ),
        ],
    ),
    (
        "zoo/agents/_qlearning.py",
        "tests/agents/test_dqn.py",
        [
            (
                "y: np.ndarray = batch.returns + batch.discounts * rates[np.arange(len(best)), best]",
                "y: np.ndarray = batch.returns + batch.discounts * rates.max(axis=1)",
            ),
            (
                "return (1 - share) * a.exploration_initial_eps + share * a.exploration_final_eps",
                "return a.exploration_initial_eps",
            ),
            ("if self.updates % a.target_update_interval == 0:", "if True:"),
            ("replay.beta = beta0 + (1 - beta0) * self.progress(step)", "replay.beta = beta0"),
            ("dq[rows, chosen] = (slopes if w is None else slopes * w) / n", "dq[rows, chosen] = slopes / n"),
        ],
    ),
    # -- files, searches, the registry ------------------------------------------------------------
    (
        "zoo/persist/_reading.py",
        "tests/persist",
        [
            ("if hashlib.sha256(members[name]).hexdigest() != expected:", "if False:"),
            ("if number > FORMAT:", "if number > FORMAT + 99:"),
            (
                "strange = {n for n in names if not is_trusted(today(n, written), self.extra)}",
                "strange = set()",
            ),
            ("matrix.check_format(full_check=True)", "pass"),
            ("self.copies -= n_bytes", "self.copies -= 0"),
            ("if common and common[0][1] > COLLISIONS_LIMIT:", "if False:"),
            ("if dtype.hasobject:", "if False:"),
        ],
    ),
    (
        "zoo/persist/_trust.py",
        "tests/persist",
        [
            (
                'if not _SKLEARN_NAME.fullmatch(name) or {"tests", "conftest"} & set(name.split(".")):',
                "if not _SKLEARN_NAME.fullmatch(name):",
            ),
            ("return is_estimator(cls) and cls.__module__ == module", "return cls is not None"),
            (
                "return found if callable(found) and isinstance(inspect.unwrap(found), np.ufunc) else None",
                "return found if callable(found) else None",
            ),
        ],
    ),
    (
        "zoo/search/_journal.py",
        "tests/test_search.py",
        [
            ('if not line.endswith(b"\\n"): break', "if False: break"),
            ("self.damaged += 1 continue", "continue"),
            ("file.truncate(end)", "pass"),
            ("return None if math.isnan(value) else str(value)", "return None"),
        ],
    ),
    (
        "zoo/search/_plan.py",
        "tests/test_search.py",
        [
            (
                "value = low * (high / low) ** u if self.log else low * (1 - u) + high * u",
                "value = low * (1 - u) + high * u",
            ),
            ("half = 0.5 if self.integer else 0.0", "half = 0.0"),
            (
                "if isinstance(value, int | float) and not found.low <= value <= found.high: continue",
                "if False: continue",
            ),
        ],
    ),
    (
        "zoo/registry.py",
        "tests/test_registry.py",
        [
            ("and wanted <= set(row['capabilities'])", "and True"),
            (
                "and (getattr(y, 'ndim', 1) < 2 or y.shape[1] == 1 or 'multi_output' in row['capabilities'])",
                "and True",
            ),
            ("if bare == name and name in zoo: return find(name)", "if name in zoo: return find(name)"),
            ("ids = X.shape[1] == 2 and X.dtype.kind in 'iuOU'", "ids = X.dtype.kind in 'iuOU'"),
        ],
    ),
]

# Mutants that no test can tell from the source, or that none is worth: replacement -> why.
SURVIVE: dict[str, str] = {}


@dataclass(frozen=True)
class Mutant:
    """One wrong change: where, what, and the tests that are meant to see it."""

    file: str
    old: str
    new: str
    tests: str

    def __str__(self) -> str:
        return f"{self.file}: {self.old!r} -> {self.new!r}"


def mutants(words: list[str]) -> list[Mutant]:
    """List the mutants whose file has one of the words in its path; all of them without words."""
    return [
        Mutant(file, old, new, tests)
        for file, tests, pairs in PLANTED
        for old, new in pairs
        if not words or any(word in file for word in words)
    ]


def pattern(text: str) -> re.Pattern[str]:
    """Match a text whatever white space and kind of quotation mark it has."""
    tokens = re.findall(r"\w+|[^\w\s]", text)
    return re.compile(r"\s*".join("['\"]" if t in "'\"" else re.escape(t) for t in tokens))


def planted(tree: Path, mutant: Mutant) -> tuple[Path, str, str] | None:
    """Return the file that holds the text, and its source without and with the mutant."""
    form = pattern(mutant.old)
    named = tree / mutant.file
    others = [path for path in sorted((tree / "zoo").rglob("*.py")) if path != named]
    for places in ([named] if named.exists() else [], others):
        found = [(path, path.read_text()) for path in places]
        found = [(path, text) for path, text in found if len(form.findall(text)) >= 1]
        if len(found) == 1:
            path, text = found[0]
            hit = form.search(text)
            assert hit is not None
            return path, text, text[: hit.start()] + mutant.new + text[hit.end() :]
    return None


def _in_kernel(source: str, mutant: Mutant) -> bool:
    """Tell whether the text stands in a compiled function: a caller's cache would hide the change."""
    hit = pattern(mutant.old).search(source)
    assert hit is not None
    line = source.count("\n", 0, hit.start()) + 1
    return any(
        isinstance(node, ast.FunctionDef)
        and node.lineno <= line <= (node.end_lineno or node.lineno)
        and any("njit" in ast.unparse(mark) for mark in node.decorator_list)
        for node in ast.walk(ast.parse(source))
    )


def verdict(tree: Path, mutant: Mutant, log: Path) -> str:
    """Run the tests on the mutant in a child of this process; say what became of it."""
    where = planted(tree, mutant)
    if where is None:
        return "gone"
    path, before, after = where
    try:
        compile(after, str(path), "exec")
    except SyntaxError:
        return "unreadable"
    path.write_text(after)
    in_kernel = _in_kernel(before, mutant)
    kernels = tempfile.mkdtemp() if in_kernel else str(tree / "kernels")
    child = os.fork()
    if child == 0:
        _run(tree, mutant, log, kernels)
    _, status = os.waitpid(child, 0)
    path.write_text(before)
    if in_kernel:
        shutil.rmtree(kernels)
    if os.WIFSIGNALED(status):
        return "killed" if os.WTERMSIG(status) == signal.SIGXCPU else "crashed"
    return {0: "SURVIVED", 1: "killed"}.get(os.waitstatus_to_exitcode(status), "not run")


def _run(tree: Path, mutant: Mutant, log: Path, kernels: str) -> None:
    import pytest

    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 10))
    os.environ["NUMBA_CACHE_DIR"] = kernels
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        os.chdir(tree)
        sys.path[:0] = [str(tree)]
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *mutant.tests.split()])
        os._exit(int(code))


def main(words: list[str]) -> int:
    """Plant every mutant, and say how many were killed."""
    chosen = mutants(words)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("SCIPY_ARRAY_API", "1")
    os.environ.setdefault("MPLBACKEND", "Agg")
    # What takes long to import is imported once; the zoo is not, for it is what changes.
    import numba  # noqa: F401
    import pandas  # noqa: F401
    import pytest  # noqa: F401
    import sklearn.utils.estimator_checks  # noqa: F401
    import skorch  # noqa: F401

    found: dict[str, list[Mutant]] = {}
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        keep = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "docs")
        shutil.copytree(ROOT, tree, ignore=keep)
        for i, mutant in enumerate(chosen, 1):
            began = time.monotonic()
            what = verdict(tree, mutant, Path(folder) / "log")
            if what == "SURVIVED" and mutant.new in SURVIVE:
                what = "explained"
            found.setdefault(what, []).append(mutant)
            print(f"{i:3d}/{len(chosen)} {what:10s} {time.monotonic() - began:5.0f} s  {mutant}", flush=True)
            if what in ("not run", "crashed"):
                print((Path(folder) / "log").read_text()[-1500:], flush=True)
    killed = len(found.get("killed", []))
    print("\n" + ", ".join(f"{len(some)} {what}" for what, some in sorted(found.items())))
    print(f"{killed / max(len(chosen), 1):.1%} of {len(chosen)} mutants killed")
    fine = not found.keys() - {"killed", "explained", "SURVIVED"} and killed >= 0.95 * len(chosen)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
