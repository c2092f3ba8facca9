"""Memory as kernels see it: one table of sizes and addresses, pointers and the atoms of the machine.

A kernel receives the address of a table of int64 instead of thirty arrays: calls are cheap, and
numba compiles an element behind a pointer several times as fast as one of an array, which has a
shape, strides, an owner and negative indices. Each file of kernels names the places of its own
table; only the functions that Python calls (its doors) are kept on disk.

Numba's cache does not notice an edited callee in another file: whoever edits this one empties it.
"""

from zoo.engines.trees import compiling  # isort: skip, numba is imported there without garbage collection

from collections.abc import Mapping

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

compiling.announce()

# A test for division by zero, numba's default, keeps a loop from being vectorised. Only doors are
# called from Python: the others need no wrapper.
door = njit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)
inner = njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
inner_fast = njit(
    nogil=True,
    error_model="numpy",
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
    fastmath={"nnan", "nsz", "reassoc", "contract", "arcp"},
)
# Written apart, compiled as one: each level of calls below a door is optimised once more.
flat = njit(nogil=True, error_model="numpy", inline="always")


def fill_table(size: int, numbers: Mapping[int, int], arrays: Mapping[int, np.ndarray]) -> np.ndarray:
    """Make a table from numbers and arrays by place; the caller keeps the arrays alive."""
    table = np.zeros(size, np.int64)
    for place, number in numbers.items():
        table[place] = number
    for place, array in arrays.items():
        assert array.flags.c_contiguous
        table[place] = array.ctypes.data
    return table


TABLE_TYPE = types.CPointer(types.int64)


@intrinsic
def table_at(typingctx, address):
    """Turn the address of the table into a pointer."""

    def codegen(context, builder, sig, args):
        return builder.inttoptr(args[0], context.get_value_type(TABLE_TYPE))

    return TABLE_TYPE(types.int64), codegen


def _pointers(dtype):
    """Make the intrinsic that reads an address of the table as a pointer to numbers of one type."""
    pointer = types.CPointer(dtype)

    @intrinsic
    def read(typingctx, t, place):
        def codegen(context, builder, sig, args):
            address = builder.load(builder.gep(args[0], [args[1]]))
            return builder.inttoptr(address, context.get_value_type(pointer))

        return pointer(TABLE_TYPE, types.intp), codegen

    return read


u8, i8, i32, u32 = map(_pointers, (types.uint8, types.int8, types.int32, types.uint32))
i64, u64, f32, f64 = map(_pointers, (types.int64, types.uint64, types.float32, types.float64))


@intrinsic
def skip(typingctx, pointer, n):
    """Move a pointer on by n elements."""

    def codegen(context, builder, sig, args):
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.intp), codegen


@intrinsic
def fetch_add(typingctx, p, index, value):
    """Add to an int64 as one step, return what it was."""

    def codegen(context, builder, sig, args):
        at = builder.gep(args[0], [args[1]])
        return builder.atomic_rmw("add", at, args[2], ordering="seq_cst")

    return types.int64(p, types.intp, types.int64), codegen


@intrinsic
def load(typingctx, p, index):
    """Read an int64 that another thread may write."""

    def codegen(context, builder, sig, args):
        return builder.load_atomic(builder.gep(args[0], [args[1]]), "seq_cst", 8)

    return types.int64(p, types.intp), codegen


@intrinsic
def store(typingctx, p, index, value):
    """Write an int64 that another thread may read; what was written before is seen before."""

    def codegen(context, builder, sig, args):
        builder.store_atomic(args[2], builder.gep(args[0], [args[1]]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(p, types.intp, types.int64), codegen


@intrinsic
def prefetch(typingctx, p, index):
    """Ask for the cache line of an element that will be read soon."""

    def codegen(context, builder, sig, args):
        i32, raw = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [raw, i32, i32, i32])
        fn = builder.module.declare_intrinsic("llvm.prefetch.p0", (), kind)
        at = builder.bitcast(builder.gep(args[0], [args[1]]), raw)
        builder.call(fn, [at, i32(0), i32(3), i32(1)])
        return context.get_dummy_value()

    return types.void(p, types.intp), codegen


@intrinsic
def as_float(typingctx, bits):
    """Read the bits of an int32 as a float32."""

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen


@intrinsic
def as_double(typingctx, bits):
    """Read the bits of an int64 as a float64."""

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic
def lowest_bit(typingctx, bits):
    """Place of the lowest bit that is set; at least one must be."""

    def codegen(context, builder, sig, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), codegen


@intrinsic
def round_down(typingctx, x):
    """Round down; the type stays."""

    def codegen(context, builder, sig, args):
        return builder.call(builder.module.declare_intrinsic("llvm.floor", [args[0].type]), args)

    return x(x), codegen


def _choice(sign):
    """Make the intrinsic that takes b instead of a where ``b sign a``."""

    @intrinsic
    def choose(typingctx, a, b):
        one = typingctx.unify_types(types.unliteral(a), types.unliteral(b))

        def codegen(context, builder, sig, args):
            a, b = args
            compare = builder.icmp_signed if one in types.signed_domain else builder.fcmp_ordered
            return builder.select(compare(sign, b, a), b, a)

        return one(one, one), codegen

    return choose


smaller, larger = _choice("<"), _choice(">")
