"""Compiled parts of a block on a CPU, float32: arrays in, arrays out.

Torch's own batch norm, rectifier, pooling and dropout each read and write whole arrays; a block spends
as long on them as on its products. Here each of them is one pass. A row of the arrays of a norm
is one unit of one block, so what a block gets does not depend on how many stand beside it.

Images are (n, H, W, channels). ``choice`` says for every value that is left which of the four
places of its window it came from, or 4 where nothing passes: the rectifier or dropout closed it.
"""

import numpy as np
from numba import njit

# Not "nnan": a network that diverges must show it.
_MATH = {"nsz", "reassoc", "contract", "arcp"}
CLOSED = 4


@njit(cache=True, nogil=True, fastmath=_MATH)
def norm_forward(h, gain, shift, eps, rectify, out, mean, rate, momentum, running_mean, running_var):
    """Write (h - mean) * rate * gain + shift, rectified or not; rate is one over the deviation."""
    rows, n = h.shape
    for r in range(rows):
        x = h[r]
        total = np.float32(0)
        for i in range(n):
            total += x[i]
        m = total / np.float32(n)
        square = np.float32(0)
        for i in range(n):
            d = x[i] - m
            square += d * d
        q = np.float32(1) / np.sqrt(square / np.float32(n) + eps)
        running_mean[r] += momentum * (m - running_mean[r])
        running_var[r] += momentum * (square / np.float32(n - 1) - running_var[r])
        mean[r] = m
        rate[r] = q
        a = q * gain[r]
        b = shift[r] - m * a
        y = out[r]
        if rectify:
            for i in range(n):
                v = x[i] * a + b
                y[i] = np.float32(0) if v < 0 else v
        else:
            for i in range(n):
                y[i] = x[i] * a + b


@njit(cache=True, nogil=True, fastmath=_MATH)
def norm_backward(g, h, out, gain, mean, rate, rectify, g_gain, g_shift):
    """Overwrite g, the gradient of ``norm_forward``'s result, by that of h; write those of gain, shift.

    In place, because a loop that may read what it has just written is not turned into vectors.
    """
    rows, n = h.shape
    for r in range(rows):
        x, y, d = h[r], out[r], g[r]
        m, q = mean[r], rate[r]
        total = np.float32(0)
        cross = np.float32(0)
        if rectify:
            for i in range(n):
                v = d[i] if y[i] > 0 else np.float32(0)
                d[i] = v
                total += v
                cross += v * (x[i] - m)
        else:
            for i in range(n):
                total += d[i]
                cross += d[i] * (x[i] - m)
        cross *= q
        g_gain[r] = cross
        g_shift[r] = total
        a = q * gain[r]
        b = total / np.float32(n)
        c = cross * q / np.float32(n)
        for i in range(n):
            d[i] = a * (d[i] - b - c * (x[i] - m))


@njit(cache=True, nogil=True, inline="always")
def _mixed(v):
    """Return the bits of v well mixed (the finaliser of MurmurHash3)."""
    # numba widens what it multiplies; the casts keep 32 bits.
    v = np.uint32(v ^ (v >> np.uint32(16)))
    v = np.uint32(v * np.uint32(0x85EBCA6B))
    v = np.uint32(v ^ (v >> np.uint32(13)))
    v = np.uint32(v * np.uint32(0xC2B2AE35))
    return np.uint32(v ^ (v >> np.uint32(16)))


@njit(cache=True, nogil=True, fastmath=_MATH)
def first_forward(x, w, b, salt, limit, scale, out, choice):
    """Convolve padded images (n, C, H + 2, W + 2), rectify, take the largest of 2 x 2, and drop.

    w is (C * 9, channels). A value is dropped where a hash of its place and of its channel's salt
    is below ``limit``; what is left is multiplied by ``scale``.
    """
    n, C = x.shape[:2]
    rows, cols, O = out.shape[1:]
    best = np.empty(O, np.float32)
    place = np.empty(O, np.uint8)
    acc = np.empty(O, np.float32)
    for i in range(n):
        for r in range(rows):
            for c in range(cols):
                for p in range(4):
                    top, left = 2 * r + p // 2, 2 * c + p % 2
                    for o in range(O):
                        acc[o] = b[o]
                    for k in range(C):
                        for t in range(3):
                            x0 = x[i, k, top + t, left]
                            x1 = x[i, k, top + t, left + 1]
                            x2 = x[i, k, top + t, left + 2]
                            w0, w1, w2 = w[k * 9 + t * 3], w[k * 9 + t * 3 + 1], w[k * 9 + t * 3 + 2]
                            for o in range(O):
                                acc[o] += x0 * w0[o] + x1 * w1[o] + x2 * w2[o]
                    if p == 0:
                        for o in range(O):
                            best[o] = acc[o]
                            place[o] = 0
                    else:
                        for o in range(O):
                            larger = not (acc[o] <= best[o])
                            best[o] = acc[o] if larger else best[o]
                            place[o] = np.uint8(p) if larger else place[o]
                at = np.uint32(((i * rows + r) * cols + c) * 0x9E3779B9)
                y, a = out[i, r, c], choice[i, r, c]
                for o in range(O):
                    shut = best[o] <= 0 or _mixed(np.uint32(at ^ salt[o])) < limit
                    y[o] = np.float32(0) if shut else best[o] * scale
                    a[o] = np.uint8(CLOSED) if shut else place[o]


@njit(cache=True, nogil=True, fastmath=_MATH)
def first_backward(g, choice, x, scale, gw, gb):
    """Add the gradients of ``first_forward`` with respect to w and b to gw and gb."""
    n, C = x.shape[:2]
    rows, cols, O = g.shape[1:]
    part = np.empty(O, np.float32)
    for i in range(n):
        for r in range(rows):
            for c in range(cols):
                d, a = g[i, r, c], choice[i, r, c]
                for p in range(4):
                    top, left = 2 * r + p // 2, 2 * c + p % 2
                    for o in range(O):
                        part[o] = d[o] * scale if a[o] == p else np.float32(0)
                        gb[o] += part[o]
                    for k in range(C):
                        for t in range(3):
                            x0 = x[i, k, top + t, left]
                            x1 = x[i, k, top + t, left + 1]
                            x2 = x[i, k, top + t, left + 2]
                            w0 = gw[k * 9 + t * 3]
                            w1 = gw[k * 9 + t * 3 + 1]
                            w2 = gw[k * 9 + t * 3 + 2]
                            for o in range(O):
                                w0[o] += x0 * part[o]
                                w1[o] += x1 * part[o]
                                w2[o] += x2 * part[o]


@njit(cache=True, nogil=True, fastmath=_MATH)
def pool_forward(h, salt, limit, scale, out, choice):
    """Rectify, take the largest of 2 x 2, and drop, as in ``first_forward``."""
    n, rows, cols, O = out.shape
    for i in range(n):
        for r in range(rows):
            for c in range(cols):
                h0, h1 = h[i, 2 * r, 2 * c], h[i, 2 * r, 2 * c + 1]
                h2, h3 = h[i, 2 * r + 1, 2 * c], h[i, 2 * r + 1, 2 * c + 1]
                at = np.uint32(((i * rows + r) * cols + c) * 0x9E3779B9)
                y, a = out[i, r, c], choice[i, r, c]
                for o in range(O):
                    best, place = h0[o], np.uint8(0)
                    larger = not (h1[o] <= best)
                    best, place = (h1[o] if larger else best), (np.uint8(1) if larger else place)
                    larger = not (h2[o] <= best)
                    best, place = (h2[o] if larger else best), (np.uint8(2) if larger else place)
                    larger = not (h3[o] <= best)
                    best, place = (h3[o] if larger else best), (np.uint8(3) if larger else place)
                    shut = best <= 0 or _mixed(np.uint32(at ^ salt[o])) < limit
                    y[o] = np.float32(0) if shut else best * scale
                    a[o] = np.uint8(CLOSED) if shut else place


@njit(cache=True, nogil=True, fastmath=_MATH)
def pool_backward(g, choice, scale, gh):
    """Write the gradient of ``pool_forward`` with respect to h."""
    n, rows, cols, O = g.shape
    if gh.shape[1] > 2 * rows:
        gh[:, 2 * rows :] = 0
    if gh.shape[2] > 2 * cols:
        gh[:, :, 2 * cols :] = 0
    for i in range(n):
        for r in range(rows):
            for c in range(cols):
                d, a = g[i, r, c], choice[i, r, c]
                for p in range(4):
                    e = gh[i, 2 * r + p // 2, 2 * c + p % 2]
                    for o in range(O):
                        e[o] = d[o] * scale if a[o] == p else np.float32(0)


@njit(cache=True, nogil=True, fastmath=_MATH)
def drop_forward(h, salt, limit, scale):
    """Rectify and drop in place; h is (places, channels)."""
    places, O = h.shape
    for i in range(places):
        at = np.uint32(i * 0x9E3779B9)
        y = h[i]
        for o in range(O):
            shut = y[o] < 0 or _mixed(np.uint32(at ^ salt[o])) < limit
            y[o] = np.float32(0) if shut else y[o] * scale


@njit(cache=True, nogil=True, fastmath=_MATH)
def drop_backward(g, y, scale, gh):
    """Write the gradient of ``drop_forward``, whose result was y."""
    places, O = g.shape
    for i in range(places):
        d, v, e = g[i], y[i], gh[i]
        for o in range(O):
            e[o] = d[o] * scale if v[o] > 0 else np.float32(0)


# What a block gives: class logits whose softmax mixes embeddings, the embedding, the noise, or v.
SOFTMAX, CLEAN, NOISE, VELOCITY = range(4)
# Layers of a dense block with a norm, in this order; the last layer has a bias instead.
X1, X2, Z1, Z2, Z3, H1, H2, OUT = range(8)


@njit(cache=True, nogil=True, fastmath=_MATH)
def _forth(l, k, h, rectify, W, V, before, after, mean, rate, eps, momentum):
    """Write the values of layer l of block k before and after its norm."""
    np.dot(W[l][k], h, before)
    norm_forward(
        before, V[0][l][k], V[1][l][k], eps, rectify, after, mean[l], rate[l], momentum,
        V[2][l][k], V[3][l][k],
    )  # fmt: skip


@njit(cache=True, nogil=True, fastmath=_MATH)
def _back(l, k, g, h, rectify, V, GW, GV, before, after, mean, rate):
    """Overwrite g by the gradient before the norm, and write those of the layer's parameters."""
    norm_backward(
        g, before, after, V[0][l][k], mean[l], rate[l], rectify, GV[0][l][k], GV[1][l][k]
    )
    np.dot(g, h.T, GW[l][k])


@njit(cache=True, nogil=True, fastmath=_MATH)
def _loss(kind, o, z, E, u, abar, omega, share, guess, g):
    """Write the guess, and the gradient of the squared error by the output o; return the loss."""
    classes, n = o.shape
    if kind == SOFTMAX:
        top = np.empty(n, np.float32)
        total = np.zeros(n, np.float32)
        for i in range(n):
            top[i] = o[0, i]
        for j in range(1, classes):
            for i in range(n):
                top[i] = max(top[i], o[j, i])
        for j in range(classes):
            for i in range(n):
                o[j, i] = np.exp(o[j, i] - top[i])
                total[i] += o[j, i]
        for j in range(classes):
            for i in range(n):
                o[j, i] /= total[i]
        np.dot(E.T, o, guess)
    root, rest = np.sqrt(abar), np.sqrt(np.float32(1) - abar)
    d = guess.shape[0]
    error = np.empty((d, n), np.float32)
    loss = 0.0
    for j in range(d):
        for i in range(n):
            if kind == CLEAN:
                guess[j, i] = o[j, i]
            elif kind == NOISE:
                guess[j, i] = (z[j, i] - rest * o[j, i]) / root
            elif kind == VELOCITY:
                guess[j, i] = root * z[j, i] - rest * o[j, i]
            r = guess[j, i] - u[j, i]
            loss += omega * share[i] * r * r
            error[j, i] = np.float32(2) * omega * share[i] * r
    if kind == SOFTMAX:
        np.dot(E, error, g)
        inner = np.zeros(n, np.float32)
        for j in range(classes):
            for i in range(n):
                inner[i] += o[j, i] * g[j, i]
        for j in range(classes):
            for i in range(n):
                g[j, i] = o[j, i] * (g[j, i] - inner[i])
    else:
        slope = np.float32(1)
        if kind == NOISE:
            slope = -rest / root
        elif kind == VELOCITY:
            slope = -rest
        for j in range(d):
            for i in range(n):
                g[j, i] = slope * error[j, i]
    return loss


@njit(cache=True, nogil=True, fastmath=_MATH)
def dense_step(
    kind, x, z, E, u, abar, omega, share, W, bias, V, GW, g_bias, GV, guess, eps, momentum
):
    r"""Write the gradients of all parameters of K dense blocks; return the sum of their losses.

    Products are :math:`A = W H,\; \nabla W = G H^\top,\; \nabla H = W^\top G`. A block goes through
    all of its layers before the next one does, so that what it needs stays in the cache.

    Parameters
    ----------
    kind : int
        What a block gives.
    x, z : arrays (in, n) and (K, d, n)
        Inputs.
    E, u : arrays (classes, d) and (d, n)
        Embeddings, and those of the labels.
    abar, omega, share : arrays (K,), (K,), (n,)
        Schedule, weights of the blocks and of the rows.
    W, bias : 8 arrays (K, out, in), and (K, out, 1)
        Weights, and the bias of the last layer.
    V : 4 times 7 arrays (K, out)
        Gain, shift, running mean and variance of the norms.
    GW, g_bias, GV : arrays
        Gradients of W, of the bias, and of gain and shift.
    guess : array (K, d, n)
        What the blocks say.
    eps, momentum : float32
        Of the norms.
    """
    K, _, n = z.shape
    w, half = W[X2].shape[1], W[H2].shape[1]
    room = np.empty((12, w, n), np.float32)
    b_x1, b_x2, b_z1, b_z2, b_z3, b_h1 = room[0], room[1], room[2], room[3], room[4], room[5]
    x1, z1, z2, z3, h1, g = room[6], room[7], room[8], room[9], room[10], room[11]
    b_h2, h2, g_half = (np.empty((half, n), np.float32), np.empty((half, n), np.float32),
                        np.empty((half, n), np.float32))  # fmt: skip
    joined, g_joined = np.empty((2 * w, n), np.float32), np.empty((2 * w, n), np.float32)
    x2, g_x, g_z = joined[:w], g_joined[:w], g_joined[w:]
    o = np.empty((W[OUT].shape[1], n), np.float32)
    g_o = np.empty_like(o)
    mean, rate = np.empty((7, w), np.float32), np.empty((7, w), np.float32)
    loss = 0.0
    for k in range(K):
        _forth(X1, k, x, True, W, V, b_x1, x1, mean, rate, eps, momentum)
        _forth(X2, k, x1, False, W, V, b_x2, x2, mean, rate, eps, momentum)
        _forth(Z1, k, z[k], True, W, V, b_z1, z1, mean, rate, eps, momentum)
        _forth(Z2, k, z1, True, W, V, b_z2, z2, mean, rate, eps, momentum)
        _forth(Z3, k, z2, False, W, V, b_z3, z3, mean, rate, eps, momentum)
        for r in range(w):
            for i in range(n):
                joined[w + r, i] = z1[r, i] + z3[r, i]
        _forth(H1, k, joined, True, W, V, b_h1, h1, mean, rate, eps, momentum)
        _forth(H2, k, h1, True, W, V, b_h2, h2, mean, rate, eps, momentum)
        np.dot(W[OUT][k], h2, o)
        for j in range(len(o)):
            for i in range(n):
                o[j, i] += bias[k, j, 0]

        loss += _loss(kind, o, z[k], E, u, abar[k], omega[k], share, guess[k], g_o)

        for j in range(len(o)):
            total = np.float32(0)
            for i in range(n):
                total += g_o[j, i]
            g_bias[k, j, 0] = total
        np.dot(g_o, h2.T, GW[OUT][k])
        np.dot(W[OUT][k].T, g_o, g_half)
        _back(H2, k, g_half, h1, True, V, GW, GV, b_h2, h2, mean, rate)
        np.dot(W[H2][k].T, g_half, g)
        _back(H1, k, g, joined, True, V, GW, GV, b_h1, h1, mean, rate)
        np.dot(W[H1][k].T, g, g_joined)
        _back(X2, k, g_x, x1, False, V, GW, GV, b_x2, x2, mean, rate)
        np.dot(W[X2][k].T, g_x, g)
        _back(X1, k, g, x, True, V, GW, GV, b_x1, x1, mean, rate)
        # b_x2 is free by now: the gradient of z3 before its norm.
        b_x2[:] = g_z
        _back(Z3, k, b_x2, z2, False, V, GW, GV, b_z3, z3, mean, rate)
        np.dot(W[Z3][k].T, b_x2, g)
        _back(Z2, k, g, z1, True, V, GW, GV, b_z2, z2, mean, rate)
        np.dot(W[Z2][k].T, g, b_x2)
        for r in range(w):
            for i in range(n):
                g_z[r, i] += b_x2[r, i]
        _back(Z1, k, g_z, z[k], True, V, GW, GV, b_z1, z1, mean, rate)
    return loss
