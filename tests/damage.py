"""Damaged files of six kinds of model, with the right checksums, loaded one after the other.

    python tests/damage.py FOLDER COUNT SEED

Run as a process of its own: a crash is the death of this process, and its memory is measured. Prints what
happened as JSON.
"""

import collections
import json
import resource
import struct
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from archives import packed, parts_of, sealed

KINDS = ("pipeline", "boosting", "vae", "gpt", "dqn", "svc")
JUNK = (
    None, True, -1, 0, 2, 2**31, 10**12, 2**63, 1e300, "", "x", [], {}, [[]], {"tuple": []}, {"same": 0},
    {"same": 10**9}, {"float": "nan"}, {"float": "x"}, {"range": [0, 10**15, 1]},
    {"array": "0"}, {"set": [[]]}, {"dtype": "<f8"}, {"array": "0", "dtype": "<f8", "shape": [1]},
    {"objects": [], "shape": [10**12]},
    {"masked": [{"range": [0, 10**9, 1]}, False, 0.0]}, {"type": "builtins.int"}, {"function": "numpy.exp"},
    {"sparse": "csr_matrix", "shape": [10**9, 10**9], "parts": [{"range": [0, 10**9, 1]}] * 3},
    {"scalar": "<f8", "hex": "00"}, {"skops": 0}, {"bytes": "0"}, {"slice": [0, 10**12, 1]},
)  # fmt: skip


def fitted(kind):
    """Fit one model of a kind, as small as it can be."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    import zoo

    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y = (X[:, 0] > 0).astype(int)
    if kind == "pipeline":
        return make_pipeline(StandardScaler(), zoo.Ridge()).fit(X, y), X
    if kind == "boosting":
        return zoo.BoostingClassifier(n_estimators=3, max_leaf_nodes=4, random_state=0).fit(X, y), X
    if kind == "svc":
        return zoo.SVC().fit(X, y), X
    if kind == "vae":
        return zoo.VAE(hidden_layer_sizes=(4,), max_epochs=1, random_state=0).fit(X), X
    if kind == "gpt":
        texts = ["the cat", "a ship"] * 3
        gpt = zoo.GPT(n_layers=1, n_heads=2, width=8, block_size=8, max_epochs=1, random_state=0)
        return gpt.fit(texts), texts
    agent = zoo.DQN("CartPole-v1", total_timesteps=200, hidden_layer_sizes=(4,), random_state=0)
    return agent.fit(), rng.normal(size=(4, 4))


class Damage:
    """Damages files; every way of it is a method."""

    def __init__(self, rng, raws):
        self.rng, self.raws = rng, raws
        self.ways = [n for n in sorted(vars(type(self))) if not n.startswith("_")]

    def _pick(self, options):
        return options[int(self.rng.integers(len(options)))]

    def _tree(self, change):
        members = dict(self.members)
        members["state.json"] = json.dumps(change(json.loads(members["state.json"]))).encode()
        return sealed(members)

    def numbers_of_an_array(self):
        """Every byte of one array, or some bytes of all."""
        members = dict(self.members)
        raw = bytearray(members["arrays.safetensors"])
        (length,) = struct.unpack_from("<Q", raw)
        entries = [e for n, e in json.loads(raw[8 : 8 + length]).items() if n != "__metadata__"]
        start, end = self._pick(entries)["data_offsets"]
        for i in range(8 + length + start, 8 + length + end):
            raw[i] = self.byte if self.byte is not None else int(self.rng.integers(256))
        return sealed(members | {"arrays.safetensors": bytes(raw)})

    def some_bytes(self):
        members = dict(self.members)
        raw = bytearray(members["arrays.safetensors"])
        for _ in range(int(self.rng.integers(1, 6))):
            raw[int(self.rng.integers(len(raw)))] = int(self.rng.integers(256))
        return sealed(members | {"arrays.safetensors": bytes(raw)})

    def one_value(self):
        """One leaf or branch of the tree is something else."""
        places = []

        def walk(node):
            pairs = enumerate(node) if isinstance(node, list) else node.items()
            for key, child in pairs:
                places.append((node, key))
                if isinstance(child, list | dict):
                    walk(child)

        def change(tree):
            walk(tree)
            node, key = self._pick(places)
            node[key] = self._pick(JUNK)
            return tree

        return self._tree(change)

    def one_number(self):
        """A number of the tree, such as a size of a network, is another."""
        numbers = []

        def walk(node):
            for key, child in enumerate(node) if isinstance(node, list) else node.items():
                if type(child) in (int, float):
                    numbers.append((node, key))
                elif isinstance(child, list | dict):
                    walk(child)

        def change(tree):
            walk(tree)
            if numbers:
                node, key = self._pick(numbers)
                node[key] = self._pick((0, -1, 1, 7, 4000, 20000, 10**9, 2**62, 10**30, -(2**70), 0.5))
            return tree

        return self._tree(change)

    def an_entry_less(self):
        def change(node):
            if isinstance(node, dict) and "dict" in node and node["dict"] and self.rng.random() < 0.5:
                pairs = list(node["dict"])
                del pairs[int(self.rng.integers(len(pairs)))]
                return node | {"dict": pairs}
            if isinstance(node, list):
                return [change(v) for v in node]
            return {k: change(v) for k, v in node.items()} if isinstance(node, dict) else node

        return self._tree(change)

    def a_member_of_another(self):
        other = self._pick([m for m in self.raws.values() if "arrays.safetensors" in m])
        return sealed(self.members | {"arrays.safetensors": other["arrays.safetensors"]})

    def header(self):
        content = json.loads(self.members["zoo.json"])
        content[self._pick(list(content))] = self._pick(JUNK)
        return packed(self.members | {"zoo.json": json.dumps(content).encode()})

    def header_of_arrays(self):
        members = dict(self.members)
        raw = members["arrays.safetensors"]
        (length,) = struct.unpack_from("<Q", raw)
        about = json.loads(raw[8 : 8 + length])
        entry = about[self._pick([n for n in about if n != "__metadata__"])]
        key = self._pick(["dtype", "shape", "data_offsets"])
        entry[key] = self._pick(["I64", "F64", [2**62], [-1], [0, 8], [], [10**9, 10**9], None, "BF16"])
        text = json.dumps(about).encode()
        raw = struct.pack("<Q", len(text)) + text + raw[8 + length :]
        return sealed(members | {"arrays.safetensors": raw})

    def unsealed(self):
        raw = bytearray(packed(self.members))
        for _ in range(int(self.rng.integers(1, 9))):
            raw[int(self.rng.integers(len(raw)))] ^= 1 << int(self.rng.integers(8))
        return bytes(raw)


def peak():
    """Return the largest memory since the last call of `forget_peak`, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text(encoding="utf-8").split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def forget_peak():
    """Let the largest memory be that of now, where the system can."""
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def use(model, X):
    """Ask a model that has loaded; whatever it raises, it must not bring the process down."""
    for name in ("predict", "predict_proba", "decision_function", "transform"):
        if hasattr(model, name):
            with np.errstate(all="ignore"):
                getattr(model, name)(X)


def main(folder, count, seed):
    """Load the files and say what happened."""
    from zoo.persist import ZooFileError, load, save

    warnings.simplefilter("ignore")
    forbidden = []
    watched = (
        "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "pickle.find_class", "socket.connect",
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    path = Path(folder, "x.zoo")
    raws, rows = {}, {}
    for kind in KINDS:
        model, rows[kind] = fitted(kind)
        save(model, path)
        raws[kind] = parts_of(path)
        use(load(path), rows[kind])
    sys.addaudithook(lambda event, args: forbidden.append(event) if event in watched else None)
    damage = Damage(rng, raws)
    told, wrong, slowest, largest = collections.Counter(), [], 0.0, 0
    for i in range(count):
        kind = KINDS[i % len(KINDS)]
        way = damage.ways[i // len(KINDS) % len(damage.ways)]
        damage.members, damage.byte = raws[kind], (0x80, 0xFF, 0x7F, 0, None)[int(rng.integers(5))]
        path.write_bytes(getattr(damage, way)())
        Path(folder, "doing").write_text(f"file {i} of seed {seed}: {kind}, {way}", encoding="utf-8")
        forget_peak()
        before, begun = peak(), time.process_time()
        model = None
        try:
            model = load(path)
        except ZooFileError as error:
            told["refused"] += 1
            if "\n" in str(error) or not str(error).endswith("."):
                wrong.append(f"{kind}, {way}, file {i}: {error}")
        except BaseException as error:
            wrong.append(f"{kind}, {way}, file {i}: {type(error).__name__}: {error}")
        slowest = max(slowest, time.process_time() - begun)
        largest = max(largest, peak() - before)
        if model is not None:
            told["loaded"] += 1
            # A parameter that a file changed may ask for years of work; numbers that it changed may not.
            if way in ("numbers_of_an_array", "some_bytes"):
                try:
                    use(model, rows[kind])
                except Exception:
                    told["refused in use"] += 1
    found = {"told": told, "wrong": wrong, "slowest": slowest, "largest": largest, "code": forbidden}
    print(json.dumps(found))


if __name__ == "__main__":
    if len(sys.argv) == 1:
        with tempfile.TemporaryDirectory() as place:
            main(place, 60, 0)
    else:
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
