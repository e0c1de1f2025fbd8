package org.qlora4j.tensor;

import org.bytedeco.pytorch.global.torch.DeviceType;

/**
 * A place for tensors: the CPU's memory, that of one CUDA device, or none at all.
 *
 * @param kind what it is
 * @param index which of its kind, from 0
 */
public record Device(Kind kind, int index) {
    /** What a device is. */
    public enum Kind {
        CPU,
        CUDA,
        META
    }

    public static final Device CPU = new Device(Kind.CPU, 0);

    /** No memory: tensors have a type and sizes, and no values (PyTorch's meta device). */
    public static final Device META = new Device(Kind.META, 0);

    /** The CUDA device of this number, as {@code CUDA_VISIBLE_DEVICES} leaves them. */
    public static Device cuda(int index) {
        return new Device(Kind.CUDA, index);
    }

    /** Whether it is a CUDA device. */
    public boolean cuda() {
        return kind == Kind.CUDA;
    }

    org.bytedeco.pytorch.Device toLibtorch() {
        return switch (kind) {
            case CPU -> new org.bytedeco.pytorch.Device(DeviceType.CPU);
            case CUDA -> new org.bytedeco.pytorch.Device(DeviceType.CUDA, (byte) index);
            case META -> new org.bytedeco.pytorch.Device(DeviceType.Meta);
        };
    }

    /** As in settings: {@code cpu} or {@code cuda:0}. */
    @Override
    public String toString() {
        return switch (kind) {
            case CPU -> "cpu";
            case CUDA -> "cuda:" + index;
            case META -> "meta";
        };
    }
}
