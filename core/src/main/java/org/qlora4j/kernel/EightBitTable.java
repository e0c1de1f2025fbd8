package org.qlora4j.kernel;

/** A table of 256 rising values, and the way from a value to the code of the nearest entry. */
public final class EightBitTable {
    private final float[] values;
    private final float[] middles;
    private final byte[] starts;
    private final int zero;

    /**
     * @param values by code: rising, 0 among them, neighbours not nearer than 1/128 of a value
     */
    public EightBitTable(float[] values) {
        this.values = values.clone();
        middles = new float[values.length];
        int at = -1;
        for (int i = 0; i < values.length; i++) {
            middles[i] =
                    i + 1 < values.length
                            ? (values[i] + values[i + 1]) * 0.5f
                            : Float.POSITIVE_INFINITY;
            at = values[i] == 0 ? i : at;
        }
        zero = at;
        starts = starts();
    }

    /**
     * For the upper 16 bits of a float, the number of middles below all floats that begin so: at
     * most one more can lie among them, so that a code is found with one comparison.
     */
    private byte[] starts() {
        byte[] out = new byte[1 << 16];
        for (int upper = 0; upper < out.length; upper++) {
            float inner = Float.intBitsToFloat(upper << 16);
            float outer = Float.intBitsToFloat(upper << 16 | 0xFFFF);
            if (Float.isNaN(inner) || Float.isNaN(outer)) {
                continue;
            }
            int from = below(Math.min(inner, outer));
            if (below(Math.max(inner, outer)) > from + 1) {
                throw new IllegalArgumentException("two entries lie nearer than 1/128 of a value");
            }
            out[upper] = (byte) from;
        }
        return out;
    }

    private int below(float x) {
        int low = 0;
        int high = middles.length - 1; // the last is infinite
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (middles[middle] < x) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

    /** By code; not to be changed. */
    float[] values() {
        return values;
    }

    /** Between an entry and the next, rounded to f32; the last is infinite. Not to be changed. */
    float[] middles() {
        return middles;
    }

    /** The code of the value 0. */
    int zero() {
        return zero;
    }

    /**
     * The code of the nearest entry, of two equally near the lower; that of a negative value is
     * below that of 0.
     */
    int code(float x) {
        int code = starts[Float.floatToRawIntBits(x) >>> 16] & 0xFF;
        code = middles[code] < x ? code + 1 : code;
        return x < 0 && code >= zero ? zero - 1 : code;
    }
}
