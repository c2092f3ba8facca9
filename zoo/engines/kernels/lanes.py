"""The smaller and the larger of two numbers, in a form that compilers turn into vector instructions.

A comparison with a choice is a reduction only where both are marked as free of NaN, and the marks on a
choice get lost on the way from Python; LLVM's own minnum and maxnum carry them.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_FREE = ("nnan", "nsz")


def _of_two(name):
    def code(typing_context, a, b):
        if not (isinstance(a, types.Float) and isinstance(b, types.Float)):
            return None
        wider = max(a, b)

        def codegen(context, builder, signature, args):
            kind = context.get_value_type(wider)
            function = builder.module.declare_intrinsic(name, [kind], ir.FunctionType(kind, [kind, kind]))
            given = [context.cast(builder, v, t, wider) for v, t in zip(args, signature.args, strict=True)]
            return builder.call(function, given, fastmath=_FREE)

        return wider(a, b), codegen

    return intrinsic(code)


least_of = _of_two("llvm.minnum")
most_of = _of_two("llvm.maxnum")
