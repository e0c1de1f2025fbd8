package org.qlora4j.tensor;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * Makes tensors, all on one device. Each belongs to the innermost {@link TensorScope}.
 *
 * <p>Every factory makes its tensor on the {@linkplain #device device of this process}; bytes,
 * arrays and numbers go to it and come back from it by copy, so that nothing else needs to know
 * where tensors lie.
 */
public final class Tensors {
    static {
        Libtorch.load();
    }

    private static volatile Device device = Device.CPU;

    private Tensors() {}

    /** Where this thread's tensors are made. */
    public static Device device() {
        return NativeMemory.onMeta() ? Device.META : device;
    }

    /**
     * Whether tensors made by this thread have values. Where only their sizes matter, work that
     * gives the same sizes again may be left out.
     */
    public static boolean haveValues() {
        return !NativeMemory.onMeta();
    }

    /**
     * Says where tensors are made from now on. For the choice of kernels alone, once at start:
     * tensors of two devices do not compute with each other.
     */
    public static void setDevice(Device newDevice) {
        device = newDevice;
    }

    /** With undefined content. */
    public static Tensor empty(DType dtype, long... shape) {
        return fresh(() -> torch.empty(shape, options(dtype), null));
    }

    public static Tensor zeros(DType dtype, long... shape) {
        return fresh(() -> torch.zeros(shape, options(dtype)));
    }

    public static Tensor full(double value, DType dtype, long... shape) {
        return fresh(() -> torch.full(shape, new Scalar(value), options(dtype)));
    }

    /** 0, 1, … count-1. */
    public static Tensor arange(long count, DType dtype) {
        return fresh(() -> torch.arange(new Scalar(count), options(dtype)));
    }

    /** Normal F32 values with mean 0, a function of the seed. */
    public static Tensor normal(long seed, double std, long... shape) {
        return empty(DType.F32, shape).fillNormal(seed, std);
    }

    /** A copy of the values, in the given shape. */
    public static Tensor of(float[] values, long... shape) {
        return fromBytes(DType.F32, shape, MemorySegment.ofArray(values));
    }

    /** A copy of the values, in the given shape. */
    public static Tensor of(int[] values, long... shape) {
        return fromBytes(DType.I32, shape, MemorySegment.ofArray(values));
    }

    /** A copy of the values, in the given shape. */
    public static Tensor of(long[] values, long... shape) {
        return fromBytes(DType.I64, shape, MemorySegment.ofArray(values));
    }

    /** A copy of the values, in the given shape. */
    public static Tensor of(byte[] values, long... shape) {
        return fromBytes(DType.U8, shape, MemorySegment.ofArray(values));
    }

    /** A copy of C-contiguous little-endian bytes; their number must fit the shape. */
    public static Tensor fromBytes(DType dtype, long[] shape, MemorySegment bytes) {
        long size = Tensor.count(shape) * dtype.bytes();
        if (bytes.byteSize() != size) {
            throw new IllegalArgumentException(
                    "%d bytes for a tensor of %d bytes".formatted(bytes.byteSize(), size));
        }
        if (device() == Device.META) {
            return empty(dtype, shape);
        }
        if (device.cuda()) {
            try (TensorScope scope = TensorScope.open()) {
                Tensor host = fresh(() -> torch.empty(shape, options(dtype, Device.CPU), null));
                host.segment().copyFrom(bytes);
                return scope.promote(host.to(device));
            }
        }
        Tensor tensor = empty(dtype, shape);
        tensor.segment().copyFrom(bytes);
        return tensor;
    }

    /**
     * A tensor over memory that somebody else owns, such as a mapped file: nothing is copied, and
     * the tensor must be closed before the arena of the memory is.
     *
     * @param memory that the device of this process can reach
     */
    public static Tensor over(MemorySegment memory, DType dtype, long... shape) {
        if (memory.byteSize() < Tensor.count(shape) * dtype.bytes()) {
            throw new IllegalArgumentException("the memory is smaller than the tensor");
        }
        var handle = Libtorch.call(() -> torch.from_blob(pointer(memory), shape, options(dtype)));
        return new Tensor(handle, new NativeMemory.Storage(0));
    }

    /** Joined along a dimension. */
    public static Tensor cat(List<Tensor> parts, int dim) {
        return fresh(() -> {
            TensorVector vector = new TensorVector(parts.size());
            for (int i = 0; i < parts.size(); i++) {
                vector.put(i, parts.get(i).handle());
            }
            return torch.cat(vector, dim);
        });
    }

    /** {@code condition ? a : b}, element by element, with broadcasting. */
    public static Tensor where(Tensor condition, Tensor a, Tensor b) {
        return fresh(() -> torch.where(condition.handle(), a.handle(), b.handle()));
    }

    /** An off-heap copy of bytes that outlives no arena but the given one. */
    public static MemorySegment copyOf(Tensor tensor, Arena arena) {
        MemorySegment out =
                arena.allocate(Math.max(1, tensor.byteSize()), 64).asSlice(0, tensor.byteSize());
        tensor.copyTo(out);
        return out;
    }

    static Tensor fresh(Supplier<org.bytedeco.pytorch.Tensor> call) {
        return new Tensor(Libtorch.call(call), null);
    }

    private static TensorOptions options(DType dtype) {
        return options(dtype, device());
    }

    private static TensorOptions options(DType dtype, Device on) {
        TensorOptions options = new TensorOptions(dtype.scalarType());
        return on != Device.CPU ? options.device(new DeviceOptional(on.toLibtorch())) : options;
    }

    private static Pointer pointer(MemorySegment memory) {
        if (!memory.isNative()) {
            throw new IllegalArgumentException(
                    "memory on the Java heap can move; use native memory");
        }
        return new BytePointer(new AddressPointer(memory.address())).capacity(memory.byteSize());
    }

    /** A pointer to a known address, which it does not own. */
    private static final class AddressPointer extends Pointer {
        AddressPointer(long address) {
            this.address = address;
        }
    }

    static MemorySegment segmentAt(long address, long bytes) {
        return MemorySegment.ofAddress(address).reinterpret(bytes);
    }

    static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
}
