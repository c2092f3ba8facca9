"""GPT on tiny Shakespeare at nanoGPT's CPU configuration: loss, time of a step, time of a token.

Run ``python tests/benchmarks/bench_gpt.py [loss] [step] [token]``; without a word, all three.
"""

import gzip
import os
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", os.environ["OMP_NUM_THREADS"])
os.environ.setdefault("OPENBLAS_NUM_THREADS", os.environ["OMP_NUM_THREADS"])

import numpy as np
import torch
from torch.nn import functional as F

from zoo import GPT
from zoo.engines.language import windows

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ZOO_DATA", ROOT.parent / "shared" / "data"))
THREADS = int(os.environ["OMP_NUM_THREADS"])

# 4 layers, 4 heads, width 128, windows of 64, batches of 12, 2,000 steps; nanoGPT adds learned
# positions, layer norm, tied weights, AdamW with beta_2 = 0.99 and decay 0.1, clipping at 1.
NANO = {
    "block_size": 64,
    "n_layers": 4,
    "n_heads": 4,
    "width": 128,
    "batch_size": 12,
    "norm": "layer",
    "positions": "learned",
    "lr": 1e-3,
    "schedule": ("warm_up_cosine", {"warm_up": 100, "total": 2000, "floor": 0.1}),
    "windows_per_epoch": 2400,
    "max_epochs": 10,
    "n_iter_no_change": None,
    "random_state": 0,
}


def shakespeare():
    """First 90 % of the text, and the rest."""
    with gzip.open(DATA / "text" / "tinyshakespeare.txt.gz", "rt", encoding="utf8") as file:
        text = file.read()
    cut = int(0.9 * len(text))
    return text[:cut], text[cut:]


def loss():
    """Validation loss after 2,000 steps, as nanoGPT measures it and with the sliding context."""
    train, held = shakespeare()
    print(
        "\n| configuration | loss, windows side by side | nats a character, sliding context "
        "| bits per byte | CPU s | wall s |"
    )
    print("|---|---|---|---|---|---|")
    for label, changes in (
        ("rotary positions, the default", {"positions": "rotary"}),
        ("learned positions, as nanoGPT", {}),
        ("rotary, RMS norm", {"positions": "rotary", "norm": "rms"}),
    ):
        model = GPT(**{**NANO, **changes})
        cpu, wall = time.process_time(), time.perf_counter()
        model.fit([train])
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        nats = -model.score_samples([held])[0] / (len(held) + 1)
        print(
            f"| {label} | {side_by_side(model, held):.4f} | {nats:.4f} | "
            f"{model.bits_per_byte([held]):.4f} | {cpu:.0f} | {wall:.0f} |",
            flush=True,
        )


def side_by_side(model, text):
    """Mean cross entropy over windows of 64 that follow one another (contexts of 1 to 64)."""
    stream = windows.stream_of(model.tokenizer_, [text])
    x, y = windows.blocks_of_stream(stream, model.block_size)
    logits = model.net_.forward_batches(x)
    target = torch.from_numpy(y).long()
    return float(F.cross_entropy(logits.flatten(0, 1), target.flatten()))


def plain_loop(module, stream, n, seed):
    """Train the same network as anybody would write it down; return CPU seconds."""
    generator = torch.Generator().manual_seed(seed)
    data = torch.from_numpy(stream.astype(np.int64))
    T, batch = NANO["block_size"], NANO["batch_size"]
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1)
    module.train()
    begin = time.process_time()
    for _ in range(n):
        start = torch.randint(len(data) - T, (batch,), generator=generator)
        x = torch.stack([data[i : i + T] for i in start])
        y = torch.stack([data[i + 1 : i + 1 + T] for i in start])
        logits = module(x)
        value = F.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1))
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        value.item()
    return time.process_time() - begin


def step(n=60, rounds=7):
    """CPU time of a training step against the same network in a plain torch loop."""
    train, _ = shakespeare()
    model = GPT(**{**NANO, "windows_per_epoch": 12}).partial_fit([train])
    module = GPT._module(**model.spec_)
    stream = windows.stream_of(model.tokenizer_, [train])
    rows = windows.rows_of_stream(stream, NANO["block_size"], 12 * n)
    plain_loop(module, stream, 5, 0)
    ours, theirs = [], []
    for i in range(rounds):
        begin = time.process_time()
        model.net_.partial_fit(rows, None, epochs=1)
        ours.append((time.process_time() - begin) / n)
        theirs.append(plain_loop(module, stream, n, i) / n)
    a, b = statistics.median(ours) * 1e3, statistics.median(theirs) * 1e3
    print(f"\n| {n} steps, median of {rounds}, {THREADS} thread | CPU ms a step |\n|---|---|")
    print(f"| zoo.GPT | {a:.2f} |\n| plain torch loop, AdamW | {b:.2f} |\n| ratio | {a / b:.3f} |")


def token():
    """Tokens per CPU second with and without the cache, and whether the texts agree."""
    train, _ = shakespeare()
    model = GPT(**{**NANO, "max_epochs": 1, "windows_per_epoch": 1200}).fit([train])
    print("\n| prompts | new tokens | cached, tokens per CPU s | uncached | ratio | same text |")
    print("|---|---|---|---|---|---|")
    for n, length in ((1, 500), (16, 200)):
        times, texts = {True: [], False: []}, {}
        for _ in range(3):
            for cache in times:
                begin = time.process_time()
                texts[cache] = model.generate(["\n"] * n, length, top_k=20, random_state=1, cache=cache)
                written = sum(map(len, texts[cache])) - n
                times[cache].append(written / (time.process_time() - begin))
        fast, slow = (statistics.median(times[c]) for c in (True, False))
        print(
            f"| {n} | {length} | {fast:.0f} | {slow:.0f} | {fast / slow:.1f} | "
            f"{texts[True] == texts[False]} |",
            flush=True,
        )


if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    for part in sys.argv[1:] or ("step", "token", "loss"):
        {"loss": loss, "step": step, "token": token}[part]()
