package org.qlora4j.tensor;

import org.bytedeco.pytorch.global.torch.ScalarType;

/** Element types of tensors. */
public enum DType {
    F64(8, ScalarType.Double),
    F32(4, ScalarType.Float),
    BF16(2, ScalarType.BFloat16),
    F16(2, ScalarType.Half),
    I64(8, ScalarType.Long),
    I32(4, ScalarType.Int),
    I16(2, ScalarType.Short),
    I8(1, ScalarType.Char),
    U8(1, ScalarType.Byte),
    BOOL(1, ScalarType.Bool);

    private final int bytes;
    private final ScalarType scalarType;

    DType(int bytes, ScalarType scalarType) {
        this.bytes = bytes;
        this.scalarType = scalarType;
    }

    /** Bytes of one element. */
    public int bytes() {
        return bytes;
    }

    /**
     * The type in which sums and statistics of values of this type are kept: F64 for F64, else F32.
     */
    public DType wide() {
        return this == F64 ? F64 : F32;
    }

    /** Whether values are floating-point numbers. */
    public boolean isFloat() {
        return this == F64 || this == F32 || this == BF16 || this == F16;
    }

    ScalarType scalarType() {
        return scalarType;
    }

    static DType of(ScalarType type) {
        for (DType d : values()) {
            if (d.scalarType == type) {
                return d;
            }
        }
        throw new IllegalStateException("libtorch answered with a tensor of type " + type);
    }
}
