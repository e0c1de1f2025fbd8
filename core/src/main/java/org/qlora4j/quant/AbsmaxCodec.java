package org.qlora4j.quant;

import org.qlora4j.kernel.BlockScales;

/**
 * Double quantization of absmax: the mean is taken off, and blocks of 256 residues become 8-bit
 * codes with one f32 scale (arXiv 2305.14314, section 3; bitsandbytes CPU code, byte for byte).
 */
final class AbsmaxCodec {
    /**
     * bitsandbytes' CPU code first snaps a value in [-1, 1] to this grid; its code is that of the
     * grid point.
     */
    private static final byte[] CODE_OF_GRID = codeOfGrid();

    /**
     * @param codes 8-bit codes of the absmax
     * @param nestedAbsmax scale of each 256 codes
     * @param offset mean of the absmax
     */
    record Encoded(byte[] codes, float[] nestedAbsmax, float offset) {}

    private AbsmaxCodec() {}

    static Encoded encode(float[] absmax) {
        float offset = mean(absmax);
        int block = BlockScales.NESTED_BLOCK;
        float[] nested = new float[(absmax.length + block - 1) / block];
        byte[] codes = new byte[absmax.length];
        for (int b = 0; b < nested.length; b++) {
            int end = Math.min(absmax.length, (b + 1) * block);
            float max = 0;
            for (int i = b * block; i < end; i++) {
                max = Math.max(max, Math.abs(absmax[i] - offset));
            }
            nested[b] = max;
            if (max == 0) {
                continue; // every code stays 0
            }
            float reciprocal = 1 / max;
            for (int i = b * block; i < end; i++) {
                float x = (absmax[i] - offset) * reciprocal;
                codes[i] = CODE_OF_GRID[(int) ((x + 1) * 32767.5f + 0.5f)];
            }
        }
        return new Encoded(codes, nested, offset);
    }

    private static byte[] codeOfGrid() {
        byte[] codes = new byte[65536];
        for (int t = 0; t < codes.length; t++) {
            codes[t] = (byte) DynamicMap.SIGNED.nearest(2f * t / 65535f - 1f);
        }
        return codes;
    }

    /**
     * Mean in f32, summed in the order of libtorch's CPU code on one thread: 8 lanes, rows of 4
     * vectors, 4 levels of partial sums. The order decides the last bit, and with it whether codes
     * equal those of bitsandbytes.
     */
    static float mean(float[] a) {
        int lanes = a.length >= 8 ? 8 : 1;
        int vectors = a.length / lanes;
        int rows = vectors / 4;
        int levelPower = Math.max(4, ceilLog2(rows) / 4);
        int step = 1 << levelPower;
        int mask = step - 1;
        float[][] level = new float[4][4 * lanes];
        int row = 0;
        for (; row + step <= rows; ) {
            for (int j = 0; j < step; j++, row++) {
                addRow(level[0], a, row);
            }
            for (int j = 1; j < 4; j++) {
                addTo(level[j], level[j - 1]);
                java.util.Arrays.fill(level[j - 1], 0);
                if ((row & (mask << (j * levelPower))) != 0) {
                    break;
                }
            }
        }
        for (; row < rows; row++) {
            addRow(level[0], a, row);
        }
        for (int j = 1; j < 4; j++) {
            addTo(level[0], level[j]);
        }
        float[] total = java.util.Arrays.copyOf(level[0], lanes);
        for (int v = rows * 4; v < vectors; v++) {
            for (int l = 0; l < lanes; l++) {
                total[l] += a[v * lanes + l];
            }
        }
        for (int column = 1; column < 4; column++) {
            for (int l = 0; l < lanes; l++) {
                total[l] += level[0][column * lanes + l];
            }
        }
        float sum = 0;
        for (int i = vectors * lanes; i < a.length; i++) {
            sum += a[i];
        }
        for (float lane : total) {
            sum += lane;
        }
        return sum / a.length;
    }

    private static void addRow(float[] level, float[] a, int row) {
        for (int i = 0; i < level.length; i++) {
            level[i] += a[row * level.length + i];
        }
    }

    private static void addTo(float[] sum, float[] part) {
        for (int i = 0; i < sum.length; i++) {
            sum[i] += part[i];
        }
    }

    private static int ceilLog2(int x) {
        return x <= 1 ? 0 : 32 - Integer.numberOfLeadingZeros(x - 1);
    }
}
