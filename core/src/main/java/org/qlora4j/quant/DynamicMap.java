package org.qlora4j.quant;

import java.util.Arrays;

/**
 * The 256 values of dynamic 8-bit quantization: seven decades, each with twice as many steps as the
 * one below (bitsandbytes functional.py, {@code create_dynamic_map}).
 */
public final class DynamicMap {
    /**
     * For signed values, such as absmax around their mean: 0, 1.0 and 127 of each sign. There is no
     * -1.0.
     */
    public static final DynamicMap SIGNED = new DynamicMap(true);

    /** For values of at least 0, such as Adam's second moment. */
    public static final DynamicMap UNSIGNED = new DynamicMap(false);

    private static final int DECADES = 7;

    private final float[] values;

    private DynamicMap(boolean signed) {
        values = new float[256];
        int at = 0;
        for (int decade = 0; decade < DECADES; decade++) {
            int cells = 1 << (signed ? decade : decade + 1);
            float scale = (float) Math.pow(10, decade - (DECADES - 1));
            for (int cell = 0; cell < cells; cell++) {
                float middle = (boundary(cell, cells) + boundary(cell + 1, cells)) / 2 * scale;
                values[at++] = middle;
                if (signed) {
                    values[at++] = -middle;
                }
            }
        }
        values[at++] = 0;
        values[at] = 1;
        Arrays.sort(values);
    }

    /** Point k of m+1 evenly from 0.1 to 1, rounded as libtorch's linspace rounds. */
    private static float boundary(int k, int m) {
        float step = (1 - 0.1f) / m;
        return k < (m + 1) / 2 ? Math.fma(step, k, 0.1f) : Math.fma(-step, m - k, 1f);
    }

    /** The values in rising order; a copy. */
    public float[] values() {
        return values.clone();
    }

    /** Index of the nearest value; of two equally near the lower. */
    int nearest(float x) {
        int above = Arrays.binarySearch(values, x);
        if (above >= 0) {
            return above;
        }
        above = -above - 1;
        if (above == 0) {
            return 0;
        }
        if (above == values.length) {
            return values.length - 1;
        }
        double down = (double) x - values[above - 1];
        double up = (double) values[above] - x;
        return up < down ? above : above - 1;
    }
}
