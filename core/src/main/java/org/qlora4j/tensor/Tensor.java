package org.qlora4j.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.function.BinaryOperator;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * A handle of a libtorch tensor. Methods that return a tensor give a new handle, owned by the
 * innermost {@link TensorScope}; the ones described as views share memory with this tensor, which
 * stays alive until its last handle is closed. Methods named {@code …InPlace}, {@code copyFrom},
 * {@code zero} and {@code fill} change this tensor. Not thread-safe: tensors belong to one thread,
 * normally the {@link Engine}.
 */
public final class Tensor implements AutoCloseable {
    static {
        Libtorch.load();
    }

    private org.bytedeco.pytorch.@Nullable Tensor handle;
    private final NativeMemory.Storage storage;
    private final long[] shape;
    private final DType dtype;
    private final boolean onCpu;
    private final boolean meta; // without values
    private @Nullable MemorySegment segment; // asking libtorch costs as much as a small kernel
    private @Nullable Boolean contiguous; // likewise
    @Nullable TensorScope scope;
    int slot;

    Tensor(org.bytedeco.pytorch.Tensor handle, NativeMemory.@Nullable Storage storage) {
        TensorScope owner;
        try {
            owner = TensorScope.current();
        } catch (IllegalStateException e) {
            handle.deallocate();
            throw e;
        }
        this.handle = handle;
        int rank = (int) handle.dim();
        this.shape = new long[rank];
        for (int i = 0; i < rank; i++) {
            shape[i] = handle.size(i);
        }
        this.dtype = DType.of(handle.scalar_type().intern());
        this.onCpu = handle.is_cpu();
        this.meta = !onCpu && handle.is_meta();
        this.storage = storage != null ? storage : new NativeMemory.Storage(byteSize());
        this.storage.retain();
        owner.own(this);
    }

    // ---- what it is

    public DType dtype() {
        return dtype;
    }

    /** Sizes of the dimensions; a copy. */
    public long[] shape() {
        return shape.clone();
    }

    public int rank() {
        return shape.length;
    }

    /** Size of a dimension; negative numbers count from the last. */
    public long size(int dim) {
        return shape[dim < 0 ? shape.length + dim : dim];
    }

    /** Number of elements. */
    public long count() {
        return count(shape);
    }

    static long count(long[] shape) {
        long n = 1;
        for (long s : shape) {
            n = Math.multiplyExact(n, s);
        }
        return n;
    }

    /** Bytes of the elements. */
    public long byteSize() {
        return count() * dtype.bytes();
    }

    public boolean isContiguous() {
        Boolean known = contiguous;
        if (known == null) {
            known = handle().is_contiguous();
            contiguous = known;
        }
        return known;
    }

    public boolean isClosed() {
        return handle == null;
    }

    @Override
    public String toString() {
        return dtype + Arrays.toString(shape) + (handle == null ? " (closed)" : "");
    }

    // ---- lifetime

    org.bytedeco.pytorch.Tensor handle() {
        org.bytedeco.pytorch.Tensor h = handle;
        if (h == null) {
            throw new IllegalStateException(
                    "the tensor " + dtype + Arrays.toString(shape) + " was closed");
        }
        return h;
    }

    /**
     * Gives up this handle; the memory goes with the last handle on it. Closing twice does nothing.
     */
    @Override
    public void close() {
        org.bytedeco.pytorch.Tensor h = handle;
        if (h == null) {
            return;
        }
        handle = null;
        if (scope != null) {
            scope.disown(this);
        }
        h.deallocate();
        storage.release();
    }

    /** Another handle on the same memory. */
    public Tensor alias() {
        return view(h -> h.alias());
    }

    // ---- views

    /** A view of another shape; the tensor must be contiguous. One size may be -1. */
    public Tensor view(long... newShape) {
        return view(h -> h.view(newShape));
    }

    /** {@link #view(long...)} where memory allows it, else a copy. */
    public Tensor reshape(long... newShape) {
        return viewOrCopy(h -> h.reshape(newShape));
    }

    /** View of {@code length} entries of a dimension from {@code start}. */
    public Tensor narrow(int dim, long start, long length) {
        return view(h -> h.narrow(dim, start, length));
    }

    /** View without a dimension, at one index of it. */
    public Tensor select(int dim, long index) {
        return view(h -> h.select(dim, index));
    }

    /** View of a matrix with rows and columns exchanged. */
    public Tensor t() {
        return view(h -> h.t());
    }

    public Tensor transpose(int a, int b) {
        return view(h -> h.transpose(a, b));
    }

    public Tensor permute(long... order) {
        return view(h -> h.permute(order));
    }

    public Tensor unsqueeze(int dim) {
        return view(h -> h.unsqueeze(dim));
    }

    /** View in which dimensions of size 1 are repeated without copying. */
    public Tensor expand(long... newShape) {
        return view(h -> h.expand(newShape));
    }

    // ---- copies and conversions

    /** This tensor if its elements lie in order, else a copy in which they do. */
    public Tensor contiguous() {
        return viewOrCopy(h -> h.contiguous());
    }

    /** This tensor (another handle) if it has the dtype, else a converted copy. */
    public Tensor to(DType newType) {
        return newType == dtype ? alias() : fresh(h -> h.to(newType.scalarType()));
    }

    /** This tensor (another handle) if it lies on the device, else a copy there. */
    Tensor to(Device device) {
        if (device.cuda() != onCpu || meta) {
            return alias();
        }
        return fresh(h -> {
            var there = device.toLibtorch();
            return h.to(there, dtype.scalarType());
        });
    }

    /** A copy in memory of its own. */
    public Tensor copy() {
        return fresh(h -> h.clone());
    }

    /** Copies the elements of another tensor, with conversion and broadcasting, into this one. */
    public Tensor copyFrom(Tensor source) {
        return inPlace(h -> h.copy_(source.handle()));
    }

    // ---- arithmetic that makes a new tensor

    public Tensor plus(Tensor other) {
        return fresh(h -> h.add(other.handle()));
    }

    public Tensor plus(double value) {
        return fresh(h -> h.add(new Scalar(value)));
    }

    public Tensor minus(Tensor other) {
        return fresh(h -> h.sub(other.handle()));
    }

    public Tensor times(Tensor other) {
        return fresh(h -> h.mul(other.handle()));
    }

    /** Quotient of elements; {@link #reciprocal} and {@link #times} would round twice. */
    public Tensor dividedBy(Tensor other) {
        return fresh(h -> h.div(other.handle()));
    }

    public Tensor times(double value) {
        return fresh(h -> h.mul(new Scalar(value)));
    }

    public Tensor neg() {
        return fresh(h -> h.neg());
    }

    public Tensor abs() {
        return meta ? neg() : fresh(h -> h.abs()); // libtorch has none for the meta device
    }

    public Tensor square() {
        return fresh(h -> h.square());
    }

    public Tensor sqrt() {
        return fresh(h -> h.sqrt());
    }

    public Tensor rsqrt() {
        return fresh(h -> h.rsqrt());
    }

    public Tensor reciprocal() {
        return fresh(h -> h.reciprocal());
    }

    public Tensor exp() {
        return fresh(h -> h.exp());
    }

    public Tensor log() {
        return fresh(h -> h.log());
    }

    public Tensor cos() {
        return fresh(h -> h.cos());
    }

    public Tensor sin() {
        return fresh(h -> h.sin());
    }

    public Tensor tanh() {
        return fresh(h -> h.tanh());
    }

    public Tensor sigmoid() {
        return fresh(h -> h.sigmoid());
    }

    /** {@code x * sigmoid(x)}. */
    public Tensor silu() {
        return fresh(h -> torch.silu(h));
    }

    /**
     * Gradient of {@code silu(x)} with respect to x, this tensor being the gradient of the result.
     */
    public Tensor siluBackward(Tensor x) {
        return fresh(h -> torch.silu_backward(h, x.handle()));
    }

    /** {@code x · Φ(x)} by erf. */
    public Tensor gelu() {
        return fresh(h -> torch.gelu(h));
    }

    /** {@link #gelu} with Φ by tanh. */
    public Tensor geluTanh() {
        return fresh(h -> torch.gelu(h, "tanh"));
    }

    /**
     * {@code max(x, 0)}, also on tensors without memory, for which libtorch has no {@code relu}.
     */
    public Tensor relu() {
        return fresh(h -> h.clamp_min(new Scalar(0)));
    }

    /** As {@link #siluBackward}, of {@link #gelu}. */
    public Tensor geluBackward(Tensor x) {
        return fresh(h -> torch.gelu_backward(h, x.handle()));
    }

    /** As {@link #siluBackward}, of {@link #geluTanh}. */
    public Tensor geluTanhBackward(Tensor x) {
        return fresh(h -> torch.gelu_backward(h, x.handle(), "tanh"));
    }

    /** As {@link #siluBackward}, of {@link #relu}. */
    public Tensor reluBackward(Tensor x) {
        return fresh(h -> torch.threshold_backward(h, x.handle(), new Scalar(0)));
    }

    // ---- products

    /** Matrix product [n, k] x [k, m] to [n, m]. */
    public Tensor mm(Tensor other) {
        return product(other, org.bytedeco.pytorch.Tensor::mm);
    }

    /** Matrix product of a batch [b, n, k] x [b, k, m] to [b, n, m]. */
    public Tensor bmm(Tensor other) {
        return product(other, org.bytedeco.pytorch.Tensor::bmm);
    }

    private Tensor product(Tensor other, BinaryOperator<org.bytedeco.pytorch.Tensor> product) {
        return Products.widens(dtype, onCpu)
                ? fresh(h -> Products.of(h, other.handle(), product))
                : fresh(h -> product.apply(h, other.handle()));
    }

    /** {@code x · weightᵀ + bias}: x [n, in], weight [out, in], bias [out] or null. */
    public Tensor linear(Tensor weight, @Nullable Tensor bias) {
        org.bytedeco.pytorch.Tensor added = bias == null ? null : bias.handle();
        if (Products.widens(dtype, onCpu)) {
            return fresh(h -> Products.linear(h, weight.handle(), added));
        }
        return fresh(h ->
                added == null
                        ? torch.linear(h, weight.handle())
                        : torch.linear(h, weight.handle(), added));
    }

    /** {@code this = beta * this + alpha * a · b}. */
    public Tensor addmmInPlace(Tensor a, Tensor b, double beta, double alpha) {
        return Products.widens(dtype, onCpu)
                ? inPlace(h -> Products.addInto(h, a.handle(), b.handle(), beta, alpha))
                : inPlace(
                        h -> h.addmm_(a.handle(), b.handle(), new Scalar(beta), new Scalar(alpha)));
    }

    // ---- in place

    public Tensor addInPlace(Tensor other) {
        return inPlace(h -> h.add_(other.handle()));
    }

    /** {@code this += alpha * other}. */
    public Tensor addInPlace(Tensor other, double alpha) {
        return inPlace(h -> h.add_(other.handle(), new Scalar(alpha)));
    }

    public Tensor addInPlace(double value) {
        return inPlace(h -> h.add_(new Scalar(value)));
    }

    /** For tensors of integers. */
    public Tensor addInPlace(long value) {
        return inPlace(h -> h.add_(new Scalar(value)));
    }

    public Tensor subInPlace(Tensor other) {
        return inPlace(h -> h.sub_(other.handle()));
    }

    public Tensor mulInPlace(Tensor other) {
        return inPlace(h -> h.mul_(other.handle()));
    }

    public Tensor mulInPlace(double value) {
        return inPlace(h -> h.mul_(new Scalar(value)));
    }

    public Tensor expInPlace() {
        return inPlace(h -> h.exp_());
    }

    /** {@code this += value * a * b}. */
    public Tensor addcmulInPlace(Tensor a, Tensor b, double value) {
        return inPlace(h -> h.addcmul_(a.handle(), b.handle(), new Scalar(value)));
    }

    /** {@code this += value * a / b}. */
    public Tensor addcdivInPlace(Tensor a, Tensor b, double value) {
        return inPlace(h -> h.addcdiv_(a.handle(), b.handle(), new Scalar(value)));
    }

    /** {@code this += weight * (end - this)}. */
    public Tensor lerpInPlace(Tensor end, double weight) {
        return inPlace(h -> h.lerp_(end.handle(), new Scalar(weight)));
    }

    public Tensor maskedFillInPlace(Tensor mask, double value) {
        return meta ? this : inPlace(h -> h.masked_fill_(mask.handle(), new Scalar(value)));
    }

    public Tensor fill(double value) {
        return inPlace(h -> h.fill_(new Scalar(value)));
    }

    /** Fills with normal values of mean 0, a function of the seed. */
    Tensor fillNormal(long seed, double std) {
        if (meta) {
            return this;
        }
        torch.manual_seed(seed);
        return inPlace(h -> h.normal_(0, std, new GeneratorOptional()));
    }

    public Tensor zero() {
        return inPlace(h -> h.zero_());
    }

    /** {@code this[index[i]] += source[i]} along a dimension. */
    public Tensor indexAddInPlace(int dim, Tensor index, Tensor source) {
        return inPlace(h -> h.index_add_(dim, index.handle(), source.handle()));
    }

    /** {@code this[…, index[…, j], …] += source[…, j, …]} along a dimension. */
    public Tensor scatterAddInPlace(int dim, Tensor index, Tensor source) {
        return inPlace(h -> h.scatter_add_(dim, index.handle(), source.handle()));
    }

    // ---- reductions

    /** Sum over one dimension, which stays with size 1 if {@code keep}. */
    public Tensor sum(int dim, boolean keep) {
        return fresh(h -> h.sum(new long[] {dim}, keep, new ScalarTypeOptional()));
    }

    /** Inner product with a vector of the same length, as a double. */
    public double dot(Tensor other) {
        if (meta) {
            return 1;
        }
        double[] out = new double[1];
        Libtorch.run(() -> out[0] = handle().dot(other.handle()).item().toDouble());
        return out[0];
    }

    /** Sum of all elements; shape []. */
    public Tensor sum() {
        return fresh(h -> h.sum());
    }

    public Tensor mean(int dim, boolean keep) {
        return fresh(h -> h.mean(new long[] {dim}, keep, new ScalarTypeOptional()));
    }

    /** Largest element along a dimension. */
    public Tensor amax(int dim, boolean keep) {
        return fresh(h -> h.amax(new long[] {dim}, keep));
    }

    /** Index (I64) of the largest element along a dimension, the first of equals. */
    public Tensor argmax(int dim) {
        return fresh(h -> h.argmax(new LongOptional(dim), false));
    }

    public Tensor softmax(int dim) {
        return fresh(h -> h.softmax(dim));
    }

    public Tensor logsumexp(int dim, boolean keep) {
        return meta ? sum(dim, keep) : fresh(h -> h.logsumexp(new long[] {dim}, keep));
    }

    /** Whether every element is neither infinite nor NaN. */
    public boolean allFinite() {
        if (!dtype.isFloat() || meta) {
            return true;
        }
        // the largest magnitude is NaN if any value is
        try (TensorScope scope = TensorScope.open()) {
            return count() == 0 || Double.isFinite(fresh(h -> h.abs().max()).item());
        }
    }

    // ---- indexing and comparison

    /** Entries of a dimension by index (I32 or I64 vector). */
    public Tensor indexSelect(int dim, Tensor index) {
        if (meta) {
            long[] sizes = shape();
            sizes[dim] = index.count();
            return Tensors.empty(dtype, sizes);
        }
        return fresh(h -> h.index_select(dim, index.handle()));
    }

    public Tensor gather(int dim, Tensor index) {
        return fresh(h -> h.gather(dim, index.handle()));
    }

    public Tensor lessThan(Tensor other) {
        return fresh(h -> h.lt(other.handle()));
    }

    public Tensor greaterOrEqual(long value) {
        return fresh(h -> h.ge(new Scalar(value)));
    }

    public Tensor equalTo(double value) {
        return fresh(h -> h.eq(new Scalar(value)));
    }

    public Tensor bitwiseAnd(long mask) {
        return fresh(h -> h.bitwise_and(new Scalar(mask)));
    }

    public Tensor bitwiseXor(Tensor other) {
        return fresh(h -> h.bitwise_xor(other.handle()));
    }

    public Tensor rightShift(long bits) {
        return fresh(h -> torch.bitwise_right_shift(h, new Scalar(bits)));
    }

    public Tensor leftShift(long bits) {
        return fresh(h -> torch.bitwise_left_shift(h, new Scalar(bits)));
    }

    /** For each element the number (I32) of sorted boundaries strictly below it. */
    public Tensor bucketize(Tensor boundaries) {
        return fresh(h -> torch.bucketize(h, boundaries.handle(), true, false));
    }

    /** The k largest along the last dimension, in falling order: values, then indices (I64). */
    public Tensor[] topk(int k) {
        Tensor[] out = new Tensor[2];
        Libtorch.run(() -> {
            var pair = handle().topk(k, -1, true, true);
            org.bytedeco.pytorch.Tensor values = new org.bytedeco.pytorch.Tensor(pair.get0());
            org.bytedeco.pytorch.Tensor indices = new org.bytedeco.pytorch.Tensor(pair.get1());
            values.retainReference();
            indices.retainReference();
            out[0] = new Tensor(values, null);
            out[1] = new Tensor(indices, null);
        });
        return out;
    }

    // ---- to Java

    /** The only element, as a double. */
    public double item() {
        if (meta) {
            return 1;
        }
        double[] out = new double[1];
        Libtorch.run(() -> out[0] = handle().item().toDouble());
        return out[0];
    }

    /** All elements in order, converted to float. */
    public float[] toFloats() {
        if (meta) {
            float[] ones = new float[Math.toIntExact(count())];
            Arrays.fill(ones, 1);
            return ones;
        }
        try (TensorScope scope = TensorScope.open()) {
            Tensor plain = to(DType.F32).to(Device.CPU).contiguous();
            return plain.segment().toArray(ValueLayout.JAVA_FLOAT);
        }
    }

    /** All elements in order, converted to long. */
    public long[] toLongs() {
        try (TensorScope scope = TensorScope.open()) {
            Tensor plain = to(DType.I64).to(Device.CPU).contiguous();
            return plain.segment().toArray(ValueLayout.JAVA_LONG);
        }
    }

    /** Copies the bytes of the elements, in order, to other memory of the same size. */
    public void copyTo(MemorySegment target) {
        if (meta) {
            return;
        }
        try (TensorScope scope = TensorScope.open()) {
            target.copyFrom(to(Device.CPU).contiguous().segment());
        }
    }

    /**
     * The memory of a contiguous CPU tensor, valid while this handle is open. For kernels alone: an
     * architecture test keeps other packages from it.
     */
    public MemorySegment segment() {
        if (!onCpu) {
            throw new IllegalStateException(this + " does not lie in the CPU's memory");
        }
        MemorySegment known = segment;
        if (known == null) {
            known = Tensors.segmentAt(address(), byteSize());
            segment = known;
        } else {
            handle(); // throws if it was closed
        }
        return known;
    }

    /**
     * Where a contiguous tensor begins in the memory of its device, valid while this handle is
     * open. For kernels alone, as {@link #segment} is.
     */
    public long address() {
        if (!isContiguous()) {
            throw new IllegalStateException(this + " is not contiguous");
        }
        return address(handle());
    }

    // ---- how results are wrapped

    private Tensor fresh(UnaryOperator<org.bytedeco.pytorch.Tensor> call) {
        org.bytedeco.pytorch.Tensor h = handle();
        return new Tensor(Libtorch.call(() -> call.apply(h)), null);
    }

    private Tensor view(UnaryOperator<org.bytedeco.pytorch.Tensor> call) {
        org.bytedeco.pytorch.Tensor h = handle();
        return new Tensor(Libtorch.call(() -> call.apply(h)), storage);
    }

    private Tensor viewOrCopy(UnaryOperator<org.bytedeco.pytorch.Tensor> call) {
        org.bytedeco.pytorch.Tensor h = handle();
        org.bytedeco.pytorch.Tensor result = Libtorch.call(() -> call.apply(h));
        boolean shared = meta ? result.is_alias_of(h) : address(result) == address(h);
        return new Tensor(result, shared ? storage : null);
    }

    /** The address of the first element; 0 if there is none. */
    private static long address(org.bytedeco.pytorch.Tensor h) {
        Pointer pointer = h.data_ptr();
        return pointer == null ? 0 : pointer.address();
    }

    private Tensor inPlace(Consumer<org.bytedeco.pytorch.Tensor> call) {
        org.bytedeco.pytorch.Tensor h = handle();
        Libtorch.run(() -> call.accept(h));
        return this;
    }
}
