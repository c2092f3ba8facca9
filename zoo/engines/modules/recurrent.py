"""Recurrent networks as torch modules, and the losses of targets at every step."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from zoo.engines.modules import blocks

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Recurrent(nn.Module):
    """Layers of recurrent cells over (n, channels, time), and a linear readout.

    The readout sees the last state, the mean or the maximum over the true steps, all three, or
    every step.
    """

    def __init__(
        self,
        n_channels: int,
        cell: str,
        hidden_size: int,
        n_layers: int,
        bidirectional: bool,
        dropout: float,
        pooling: str,
        n_outputs: int,
    ) -> None:
        super().__init__()
        self.pooling = pooling
        width = hidden_size * (2 if bidirectional else 1)
        self.layers = nn.ModuleList(
            CELLS[cell](
                n_channels if layer == 0 else width,
                hidden_size,
                batch_first=True,
                bidirectional=bidirectional,
            )
            for layer in range(n_layers)
        )
        self.dropout = blocks.Dropout(dropout)
        self.readout = nn.Linear(width * (3 if pooling == "all" else 1), n_outputs)
        if cell == "lstm":
            # A forget gate that starts open lets the gradient reach the first steps.
            with torch.no_grad():
                for layer in self.layers:
                    for name, bias in layer.named_parameters():
                        if name.startswith("bias_ih"):
                            bias[hidden_size : 2 * hidden_size] = 1.0

    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        """Return (n, outputs), or (n, time, outputs) with pooling "every"."""
        h = x.transpose(1, 2)
        n_steps = h.shape[1]
        ragged = bool((lengths != n_steps).any())
        last = h
        for i, layer in enumerate(self.layers):
            h = self.dropout(h) if i else h
            if ragged:
                packed = pack_padded_sequence(
                    h, lengths.cpu(), batch_first=True, enforce_sorted=False
                )
                out, state = layer(packed)
                h = pad_packed_sequence(out, batch_first=True, total_length=n_steps)[0]
            else:
                h, state = layer(h)
            state = state[0] if isinstance(state, tuple) else state
            last = state.transpose(0, 1).flatten(1)
        return self.readout(self.dropout(self._pooled(h, last, lengths)))

    def _pooled(self, h: Tensor, last: Tensor, lengths: Tensor) -> Tensor:
        if self.pooling == "every":
            return h
        if self.pooling == "last":
            return last
        outside = (torch.arange(h.shape[1], device=h.device) >= lengths[:, None])[..., None]
        mean = h.masked_fill(outside, 0).sum(1) / lengths[:, None].to(h.dtype)
        if self.pooling == "mean":
            return mean
        most = h.masked_fill(outside, -torch.inf).amax(1)
        return most if self.pooling == "max" else torch.cat([last, mean, most], 1)

    def step(self, x: Tensor, state: list[Any] | None) -> tuple[Tensor, list[Any]]:
        """Take one step: x (n, channels) and the states of the layers, None at the start."""
        h = x[:, None]
        states = []
        for i, layer in enumerate(self.layers):
            h, s = layer(h, None if state is None else state[i])
            states.append(s)
        return self.readout(h[:, 0]), states


class StepLoss(nn.Module):
    """Mean over the true steps of a row of the cross entropy or squared error of each step.

    Padded steps are marked in the targets: -1 for class numbers, nan for values.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return one loss a row."""
        # Either may be padded further than the other.
        n_steps = min(target.shape[1], output.shape[1])
        output, target = output[:, :n_steps], target[:, :n_steps]
        if target.is_floating_point():
            true = ~torch.isnan(target)
            losses = (output[..., 0] - torch.where(true, target, 0)).square()
        else:
            true = target >= 0
            losses = nn.functional.cross_entropy(
                output.transpose(1, 2),
                target.clamp_min(0),
                reduction="none",
                label_smoothing=self.label_smoothing,
            )
        return (losses * true).sum(1) / true.sum(1).to(losses.dtype)
