package org.qlora4j.tensor;

import org.bytedeco.pytorch.global.torch.DeviceType;

/**
 * A place for tensors: the CPU's memory, or that of one CUDA device.
 *
 * @param cuda whether it is a CUDA device
 * @param index which of them, from 0; 0 for the CPU
 */
public record Device(boolean cuda, int index) {
    public static final Device CPU = new Device(false, 0);

    /** The CUDA device of this number, as {@code CUDA_VISIBLE_DEVICES} leaves them. */
    public static Device cuda(int index) {
        return new Device(true, index);
    }

    org.bytedeco.pytorch.Device toLibtorch() {
        return cuda
                ? new org.bytedeco.pytorch.Device(DeviceType.CUDA, (byte) index)
                : new org.bytedeco.pytorch.Device(DeviceType.CPU);
    }

    /** As in settings: {@code cpu} or {@code cuda:0}. */
    @Override
    public String toString() {
        return cuda ? "cuda:" + index : "cpu";
    }
}
