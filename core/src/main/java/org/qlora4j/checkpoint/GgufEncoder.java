package org.qlora4j.checkpoint;

import org.qlora4j.kernel.BlockDecoder;

/**
 * Makes blocks of GGUF's quantized types. Q4_0 to Q8_0 give the bytes of the {@code gguf} package
 * of Python. The K types and IQ4_NL have no such reference: their scales are chosen by weighted
 * least squares over a grid of candidates ({@link BlockFit}).
 */
final class GgufEncoder {
    private static final int SUPER = 256;

    private GgufEncoder() {}

    /** Whether {@link #encode} makes blocks of this type. */
    static boolean encodes(GgufType type) {
        return switch (type) {
            case Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, IQ4_NL -> true;
            default -> false;
        };
    }

    /**
     * Encodes whole blocks.
     *
     * @param in finite values
     * @param out receives the blocks' bytes, from its start
     */
    static void encode(GgufType type, float[] in, byte[] out) {
        int blocks = in.length / type.blockElements;
        for (int block = 0; block < blocks; block++) {
            int from = block * type.blockElements;
            int to = block * type.blockBytes;
            switch (type) {
                case Q4_0 -> symmetric(in, from, 8, out, to);
                case Q5_0 -> symmetric(in, from, 16, out, to);
                case Q4_1 -> ranged(in, from, 15, out, to);
                case Q5_1 -> ranged(in, from, 31, out, to);
                case Q8_0 -> bytes(in, from, out, to);
                case IQ4_NL -> levels(in, from, out, to);
                case Q4_K -> withMinimum(in, from, 15, out, to);
                case Q5_K -> withMinimum(in, from, 31, out, to);
                case Q6_K -> sixBits(in, from, out, to);
                default -> throw new IllegalArgumentException(type + " is not written");
            }
        }
    }

    private static void putF16(byte[] out, int at, float value) {
        short bits = Float.floatToFloat16(value);
        out[at] = (byte) bits;
        out[at + 1] = (byte) (bits >> 8);
    }

    private static float inverse(float scale) {
        return scale == 0 ? 0 : 1 / scale;
    }

    /** Q4_0 and Q5_0: the value of largest magnitude takes the code 0. */
    private static void symmetric(float[] in, int from, int half, byte[] out, int to) {
        float extreme = in[from];
        for (int i = 1; i < 32; i++) {
            if (Math.abs(in[from + i]) > Math.abs(extreme)) {
                extreme = in[from + i];
            }
        }
        float scale = extreme / -half;
        float inverse = inverse(scale);
        int[] codes = new int[32];
        for (int i = 0; i < 32; i++) {
            int code = (int) (in[from + i] * inverse + (half + 0.5f));
            codes[i] = Math.min(2 * half - 1, code);
        }
        putF16(out, to, scale);
        put(codes, half == 16, out, to + 2);
    }

    /** Q4_1 and Q5_1: from the smallest value to the largest. */
    private static void ranged(float[] in, int from, int most, byte[] out, int to) {
        float least = in[from];
        float largest = in[from];
        for (int i = 1; i < 32; i++) {
            least = Math.min(least, in[from + i]);
            largest = Math.max(largest, in[from + i]);
        }
        float scale = (largest - least) / most;
        float inverse = inverse(scale);
        int[] codes = new int[32];
        for (int i = 0; i < 32; i++) {
            codes[i] = Math.min(most, (int) ((in[from + i] - least) * inverse + 0.5f));
        }
        putF16(out, to, scale);
        putF16(out, to + 2, least);
        put(codes, most == 31, out, to + 4);
    }

    /** 32 codes: fifth bits if there are any, then nibbles. */
    private static void put(int[] codes, boolean fifth, byte[] out, int to) {
        int at = to;
        if (fifth) {
            int high = 0;
            for (int i = 0; i < 32; i++) {
                high |= (codes[i] >> 4) << i;
            }
            for (int i = 0; i < 4; i++) {
                out[at++] = (byte) (high >> 8 * i);
            }
        }
        for (int i = 0; i < 16; i++) {
            out[at + i] = (byte) ((codes[i] & 15) | (codes[i + 16] & 15) << 4);
        }
    }

    private static void bytes(float[] in, int from, byte[] out, int to) {
        float largest = 0;
        for (int i = 0; i < 32; i++) {
            largest = Math.max(largest, Math.abs(in[from + i]));
        }
        float scale = largest / 127;
        float inverse = inverse(scale);
        putF16(out, to, scale);
        for (int i = 0; i < 32; i++) {
            float value = in[from + i] * inverse;
            int whole = (int) Math.abs(value);
            // halves away from zero
            int magnitude = whole + (Math.abs(value) - whole >= 0.5f ? 1 : 0);
            out[to + 2 + i] = (byte) (value < 0 ? -magnitude : magnitude);
        }
    }

    private static void levels(float[] in, int from, byte[] out, int to) {
        int[] codes = new int[32];
        float scale = BlockFit.ofLevels(in, from, codes);
        putF16(out, to, scale);
        scale = BlockDecoder.f16(out, to);
        for (int i = 0; i < 32; i++) {
            codes[i] = BlockFit.nearestLevel(in[from + i] * inverse(scale));
        }
        put(codes, false, out, to + 2);
    }

    /** Q4_K and Q5_K: eight sub-blocks, each with a scale and a minimum in 6 bits. */
    private static void withMinimum(float[] in, int from, int most, byte[] out, int to) {
        float[] scales = new float[8];
        float[] minima = new float[8];
        float largestScale = 0;
        float largestMinimum = 0;
        for (int sub = 0; sub < 8; sub++) {
            float[] fit = BlockFit.withMinimum(in, from + 32 * sub, most);
            scales[sub] = fit[0];
            minima[sub] = fit[1];
            largestScale = Math.max(largestScale, fit[0]);
            largestMinimum = Math.max(largestMinimum, fit[1]);
        }
        putF16(out, to, largestScale / 63);
        putF16(out, to + 2, largestMinimum / 63);
        float d = BlockDecoder.f16(out, to);
        float m = BlockDecoder.f16(out, to + 2);
        int[] codes = new int[SUPER];
        byte[] six = new byte[12];
        for (int sub = 0; sub < 8; sub++) {
            int scale = sixBits(scales[sub], largestScale);
            int minimum = sixBits(minima[sub], largestMinimum);
            putSix(six, sub, scale, minimum);
            float inverse = inverse(d * scale);
            for (int i = 32 * sub; i < 32 * sub + 32; i++) {
                int code = Math.round((in[from + i] + m * minimum) * inverse);
                codes[i] = Math.clamp(code, 0, most);
            }
        }
        System.arraycopy(six, 0, out, to + 4, 12);
        int at = to + 16;
        if (most == 31) {
            for (int i = 0; i < 32; i++) {
                int high = 0;
                for (int sub = 0; sub < 8; sub++) {
                    high |= (codes[32 * sub + i] >> 4) << sub;
                }
                out[at + i] = (byte) high;
            }
            at += 32;
        }
        for (int i = 0; i < 128; i++) {
            int pair = 64 * (i / 32) + i % 32;
            out[at + i] = (byte) ((codes[pair] & 15) | (codes[pair + 32] & 15) << 4);
        }
    }

    private static int sixBits(float value, float largest) {
        return largest == 0 ? 0 : Math.clamp(Math.round(63 * value / largest), 0, 63);
    }

    private static void putSix(byte[] six, int sub, int scale, int minimum) {
        if (sub < 4) {
            six[sub] |= (byte) scale;
            six[sub + 4] |= (byte) minimum;
        } else {
            six[sub + 4] = (byte) ((scale & 15) | (minimum & 15) << 4);
            six[sub - 4] |= (byte) (scale >> 4 << 6);
            six[sub] |= (byte) (minimum >> 4 << 6);
        }
    }

    /** Q6_K: sixteen sub-blocks, each with a signed scale in 8 bits. */
    private static void sixBits(float[] in, int from, byte[] out, int to) {
        float[] scales = new float[16];
        float extreme = 0;
        for (int sub = 0; sub < 16; sub++) {
            scales[sub] = BlockFit.signed(in, from + 16 * sub, 32);
            if (Math.abs(scales[sub]) > Math.abs(extreme)) {
                extreme = scales[sub];
            }
        }
        putF16(out, to + 208, extreme / -128);
        float d = BlockDecoder.f16(out, to + 208);
        for (int i = 0; i < 192; i++) {
            out[to + i] = 0;
        }
        for (int sub = 0; sub < 16; sub++) {
            int scale = extreme == 0 ? 0 : Math.round(scales[sub] * (-128 / extreme));
            scale = Math.clamp(scale, -128, 127);
            out[to + 192 + sub] = (byte) scale;
            float inverse = inverse(d * scale);
            for (int i = 16 * sub; i < 16 * sub + 16; i++) {
                int code = Math.clamp(Math.round(in[from + i] * inverse), -32, 31) + 32;
                int half = i / 128;
                int part = i % 128 / 32;
                int place = i % 32;
                out[to + 64 * half + 32 * (part % 2) + place] |=
                        (byte) ((code & 15) << 4 * (part / 2));
                out[to + 128 + 32 * half + place] |= (byte) (code >> 4 << 2 * part);
            }
        }
    }
}
