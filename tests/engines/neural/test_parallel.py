"""Training by several processes: the weights of one process, and no half-finished fit."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

import zoo
from zoo.engines.neural import parallel
from zoo.engines.neural.rows import Batch

CASES = """
import numpy as np, zoo
rng = np.random.RandomState(0)
X = rng.normal(size=(103, 6))
y = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(int)
w = rng.uniform(0.1, 3.0, len(y))
images = rng.uniform(size=(37, 1, 8, 8))
quiet = dict(random_state=0, max_epochs=3)
# name: estimator, data, weights. The last batches are short, one of a single row.
CASES = {
    "by hand": (zoo.MLPClassifier(batch_size=17, **quiet), X, y, None),
    "weighted": (zoo.MLPClassifier(batch_size=17, **quiet), X, y, w),
    "regression": (zoo.MLPRegressor(batch_size=51, activation="tanh", **quiet), X, X[:, 0] * 2, None),
    "by autograd": (zoo.MLPClassifier(batch_size=25, norm="layer", **quiet), X, y, w),
    "images": (zoo.ConvNetClassifier(batch_size=12, **quiet), images, y[:37], None),
    "early": (zoo.MLPClassifier(batch_size=17, early_stopping=True, **quiet), X, y, None),
}
"""
WORKER = CASES + """
import json, os, sys
from zoo.engines.neural import parallel
rank = int(sys.argv[1])
out = {}
with parallel.group("gloo", init_method=sys.argv[2], rank=rank, world_size=2, timeout=120) as share:
    for name, (model, data, target, weights) in CASES.items():
        model.fit(data, target, sample_weight=weights)
        out[name] = [model.history_["train_loss"].tolist(),
                     [float(p.detach().double().sum()) for p in model.net_.module_.parameters()]]
    out["same"] = parallel.current() is share
    # Each process would draw other rows: refused before anything is learned.
    try:
        zoo.MLPClassifier(max_epochs=1, random_state=rank).fit(X, y)
    except ValueError as error:
        out["seeds"] = str(error)
    try:
        zoo.NoPropDTClassifier(max_epochs=1, random_state=0).fit(X, y)
    except ValueError as error:
        out["own step"] = str(error)
    # Noise: the rows of one process are not those of the other.
    model = zoo.MLPClassifier(dropout=0.5, max_epochs=2, random_state=0).fit(X, y)
    out["dropout"] = [model.net_.noise_generator_.initial_seed(),
                      [float(p.detach().double().sum()) for p in model.net_.module_.parameters()]]
out["after"] = parallel.current() is None
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What two processes of a gloo group found."""
    meeting = (tmp_path_factory.mktemp("group") / "meeting").as_uri()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(rank), meeting], stdout=subprocess.PIPE, text=True,
            env=environment,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    found = [json.loads(worker.communicate(timeout=300)[0]) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    return found


@pytest.fixture(scope="module")
def cases():
    names = {}
    exec(CASES, names)
    return names["CASES"]


@pytest.mark.parametrize(
    "name", ["by hand", "weighted", "regression", "by autograd", "images", "early"]
)
def test_two_processes_learn_the_weights_of_one(told, cases, name):
    model, X, y, w = cases[name]
    model.fit(X, y, sample_weight=w)
    losses, sums = told[0][name]
    assert told[1][name] == [losses, sums]
    np.testing.assert_allclose(losses, model.history_["train_loss"], rtol=1e-9)
    ours = [float(p.detach().double().sum()) for p in model.net_.module_.parameters()]
    np.testing.assert_allclose(sums, ours, rtol=1e-7, atol=1e-9)


def test_other_seeds_and_other_steps_are_refused(told):
    for found in told:
        assert "the same integer as random_state" in found["seeds"]
        assert "has a training step of its own" in found["own step"]


def test_noise_differs_and_weights_do_not(told):
    seeds, weights = zip(*(found["dropout"] for found in told), strict=True)
    assert seeds[0] != seeds[1]
    assert weights[0] == weights[1]


def test_the_group_ends(told):
    assert all(found["same"] and found["after"] for found in told)
    assert parallel.current() is None


@pytest.mark.parametrize("n", [1, 2, 3, 10, 11])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_shares_are_a_partition_and_sum_to_one(n, size):
    batch = Batch(({"a": torch.arange(n), "b": [torch.arange(n)]}, None))
    batch.w = torch.arange(n).double() + 1
    seen, total = [], 0.0
    for rank in range(size):
        mine, share = parallel.Share(rank, size)._mine(batch)
        total += share
        assert len(mine.w) >= 1
        if share:
            seen += mine[0]["a"].tolist()
            assert mine[0]["b"][0].tolist() == mine[0]["a"].tolist()
    assert seen == list(range(n))
    assert total == pytest.approx(1)


def test_a_wrong_number_of_processes_is_refused():
    with pytest.raises(ValueError, match="processes=0 is not accepted"):
        parallel.fit(zoo.MLPClassifier(), [[0.0]], [0], processes=0)


@pytest.mark.slow
def test_fit_starts_the_processes_and_reports_what_happens_to_them(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        CASES
        + textwrap.dedent(
            """
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import StandardScaler
            from zoo.engines.neural import parallel

            if __name__ == "__main__":
                model, X, y, w = CASES["by hand"]
                model = make_pipeline(StandardScaler(), model)
                two = parallel.fit(model, X, y)
                one = model.fit(X, y)
                print(np.abs(two.predict_proba(X) - one.predict_proba(X)).max() < 1e-9)
                try:
                    parallel.fit(model, X, y[:-1])
                except ValueError as error:
                    print("inconsistent" in str(error), "In process" in error.__notes__[0])
                two = parallel.fit(zoo.MLPClassifier(max_epochs=1), X, y)  # agrees on a seed
                print(two.score(X, y) > 0)
            """
        )
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment, timeout=300,
        check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["True"] * 4, done.stderr[-2000:]


@pytest.mark.slow
def test_a_process_that_is_killed_is_an_error_and_leaves_none_behind(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        CASES
        + textwrap.dedent(
            """
            import multiprocessing, os, signal, threading, time
            from zoo.engines.neural import parallel

            def kill_one():
                while len(multiprocessing.active_children()) < 2:
                    time.sleep(0.1)
                time.sleep(8)
                os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

            if __name__ == "__main__":
                threading.Thread(target=kill_one, daemon=True).start()
                try:
                    parallel.fit(zoo.MLPClassifier(max_epochs=10**6, random_state=0), X, y)
                except (RuntimeError, ConnectionError) as error:
                    print("error", len(multiprocessing.active_children()))
            """
        )
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment, timeout=200,
        check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["error", "0"], done.stderr[-2000:]
