package org.qlora4j.kernel;

/**
 * Decodes blocks of ggml's {@linkplain BlockType quantized types} (ggml-common.h). Values are
 * computed in f32, each multiplication and addition rounded, as the {@code gguf} package of Python
 * does, so that both give the same bits.
 */
public final class BlockDecoder {
    /** Levels of IQ4_NL and IQ4_XS by code. */
    private static final int[] NL_LEVELS = {
        -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
    };

    private BlockDecoder() {}

    /**
     * Decodes whole blocks.
     *
     * @param in the blocks' bytes
     * @param count of their values
     * @param out receives them from its beginning
     */
    public static void decode(BlockType type, byte[] in, int count, float[] out) {
        int blocks = count / type.elements();
        for (int block = 0; block < blocks; block++) {
            int from = block * type.bytes();
            int to = block * type.elements();
            switch (type) {
                case Q4_0 -> nibbles(in, from + 2, f16(in, from), -8, 0, out, to);
                case Q4_1 -> nibbles(in, from + 4, f16(in, from), 0, f16(in, from + 2), out, to);
                case Q5_0 -> fives(in, from + 2, f16(in, from), -16, 0, out, to);
                case Q5_1 -> fives(in, from + 4, f16(in, from), 0, f16(in, from + 2), out, to);
                case Q8_0 -> bytes(in, from, out, to);
                case IQ4_NL -> levels(in, from + 2, f16(in, from), out, to);
                case IQ4_XS -> decodeIq4Xs(in, from, out, to);
                case Q2_K -> decodeQ2K(in, from, out, to);
                case Q3_K -> decodeQ3K(in, from, out, to);
                case Q4_K -> decodeQ4K(in, from, out, to);
                case Q5_K -> decodeQ5K(in, from, out, to);
                case Q6_K -> decodeQ6K(in, from, out, to);
            }
        }
    }

    /** A number in fp16. */
    public static float f16(byte[] in, int at) {
        return Float.float16ToFloat((short) ((in[at] & 255) | in[at + 1] << 8));
    }

    /** The levels of IQ4_NL and IQ4_XS by code, a copy. */
    public static int[] nlLevels() {
        return NL_LEVELS.clone();
    }

    /** 16 bytes: low nibbles are values 0 to 15, high ones 16 to 31. */
    private static void nibbles(
            byte[] in, int at, float scale, int shift, float minimum, float[] out, int to) {
        for (int i = 0; i < 16; i++) {
            int codes = in[at + i];
            out[to + i] = scaled(scale, (codes & 15) + shift, shift, minimum);
            out[to + i + 16] = scaled(scale, ((codes >> 4) & 15) + shift, shift, minimum);
        }
    }

    /** A value of a type with a minimum, or of one whose codes are shifted. */
    private static float scaled(float scale, int code, int shift, float minimum) {
        return shift == 0 ? scale * code + minimum : scale * code;
    }

    /** 32 fifth bits, then the nibbles. */
    private static void fives(
            byte[] in, int at, float scale, int shift, float minimum, float[] out, int to) {
        int high = i32(in, at);
        for (int i = 0; i < 16; i++) {
            int codes = in[at + 4 + i];
            int low = (codes & 15) | (high >>> i & 1) << 4;
            int upper = (codes >> 4 & 15) | (high >>> (i + 16) & 1) << 4;
            out[to + i] = scaled(scale, low + shift, shift, minimum);
            out[to + i + 16] = scaled(scale, upper + shift, shift, minimum);
        }
    }

    private static int i32(byte[] in, int at) {
        return (in[at] & 255)
                | (in[at + 1] & 255) << 8
                | (in[at + 2] & 255) << 16
                | in[at + 3] << 24;
    }

    private static void bytes(byte[] in, int from, float[] out, int to) {
        float scale = f16(in, from);
        for (int i = 0; i < 32; i++) {
            out[to + i] = in[from + 2 + i] * scale;
        }
    }

    private static void levels(byte[] in, int at, float scale, float[] out, int to) {
        for (int i = 0; i < 16; i++) {
            out[to + i] = scale * NL_LEVELS[in[at + i] & 15];
            out[to + i + 16] = scale * NL_LEVELS[in[at + i] >> 4 & 15];
        }
    }

    /** Scale, 8 times 2 high bits of a scale, 8 low nibbles, 8 sub-blocks of 16 bytes. */
    private static void decodeIq4Xs(byte[] in, int from, float[] out, int to) {
        float scale = f16(in, from);
        int high = (in[from + 2] & 255) | (in[from + 3] & 255) << 8;
        for (int sub = 0; sub < 8; sub++) {
            int low = in[from + 4 + sub / 2] >> 4 * (sub % 2) & 15;
            int code = (low | (high >> 2 * sub & 3) << 4) - 32;
            levels(in, from + 8 + 16 * sub, scale * code, out, to + 32 * sub);
        }
    }

    /** 16 bytes of scale and minimum in nibbles, 64 of codes in pairs of bits, both scales. */
    private static void decodeQ2K(byte[] in, int from, float[] out, int to) {
        float scale = f16(in, from + 80);
        float minimum = f16(in, from + 82);
        for (int sub = 0; sub < 16; sub++) {
            float d = scale * (in[from + sub] & 15);
            float m = minimum * (in[from + sub] >> 4 & 15);
            for (int i = 0; i < 16; i++) {
                out[to + 16 * sub + i] = d * pair(in, from + 16, sub, i) - m;
            }
        }
    }

    /** Two bits of a sub-block of 16: in 32 bytes lie four times two sub-blocks. */
    private static int pair(byte[] in, int at, int sub, int i) {
        return in[at + 32 * (sub / 8) + 16 * (sub % 2) + i] >> 2 * (sub / 2 % 4) & 3;
    }

    /** 32 bytes of third bits, 64 of pairs, 12 of scales in 6 bits, the scale. */
    private static void decodeQ3K(byte[] in, int from, float[] out, int to) {
        float scale = f16(in, from + 108);
        for (int sub = 0; sub < 16; sub++) {
            int low = in[from + 96 + sub % 8] >> 4 * (sub / 8) & 15;
            int high = in[from + 104 + sub % 4] >> 2 * (sub / 4) & 3;
            float d = scale * ((low | high << 4) - 32);
            for (int i = 0; i < 16; i++) {
                int third = in[from + 16 * (sub % 2) + i] >> sub / 2 & 1;
                int code = pair(in, from + 32, sub, i) - (third == 1 ? 0 : 4);
                out[to + 16 * sub + i] = d * code;
            }
        }
    }

    /** Scale of sub-block j of Q4_K and Q5_K, from 12 bytes. */
    private static int scale6(byte[] in, int at, int j) {
        return j < 4 ? in[at + j] & 63 : (in[at + j + 4] & 15) | (in[at + j - 4] >> 6 & 3) << 4;
    }

    /** Minimum of sub-block j of Q4_K and Q5_K, from 12 bytes. */
    private static int minimum6(byte[] in, int at, int j) {
        return j < 4
                ? in[at + j + 4] & 63
                : (in[at + j + 4] >> 4 & 15) | (in[at + j] >> 6 & 3) << 4;
    }

    /** Scale and minimum, 12 bytes of those of sub-blocks, 128 bytes of nibbles. */
    private static void decodeQ4K(byte[] in, int from, float[] out, int to) {
        for (int sub = 0; sub < 8; sub++) {
            float d = f16(in, from) * scale6(in, from + 4, sub);
            float m = f16(in, from + 2) * minimum6(in, from + 4, sub);
            for (int i = 0; i < 32; i++) {
                int code = in[from + 16 + 32 * (sub / 2) + i] >> 4 * (sub % 2) & 15;
                out[to + 32 * sub + i] = d * code - m;
            }
        }
    }

    /** As Q4_K, with 32 bytes of fifth bits before the nibbles. */
    private static void decodeQ5K(byte[] in, int from, float[] out, int to) {
        for (int sub = 0; sub < 8; sub++) {
            float d = f16(in, from) * scale6(in, from + 4, sub);
            float m = f16(in, from + 2) * minimum6(in, from + 4, sub);
            for (int i = 0; i < 32; i++) {
                int low = in[from + 48 + 32 * (sub / 2) + i] >> 4 * (sub % 2) & 15;
                int code = low | (in[from + 16 + i] >> sub & 1) << 4;
                out[to + 32 * sub + i] = d * code - m;
            }
        }
    }

    /** 128 bytes of nibbles, 64 of pairs above them, 16 scales in 8 bits, the scale. */
    private static void decodeQ6K(byte[] in, int from, float[] out, int to) {
        float scale = f16(in, from + 208);
        for (int half = 0; half < 2; half++) {
            for (int part = 0; part < 4; part++) {
                for (int i = 0; i < 32; i++) {
                    int low = in[from + 64 * half + 32 * (part % 2) + i] >> 4 * (part / 2) & 15;
                    int high = in[from + 128 + 32 * half + i] >> 2 * part & 3;
                    float d = scale * in[from + 192 + 8 * half + 2 * part + i / 16];
                    out[to + 128 * half + 32 * part + i] = d * ((low | high << 4) - 32);
                }
            }
        }
    }
}
