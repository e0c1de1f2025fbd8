package org.qlora4j.kernel;

/**
 * The instructions on vectors that code for AVX2 and code for SSE share, by AVX's names: with a
 * result apart from two operands. {@link SseAssembler} writes a copy first where SSE lacks that.
 * Vectors are registers 0 … 15; {@link SseAssembler#SPARE} is not the program's.
 */
interface X86Vectors extends X86Instructions {
    /** Bytes of a vector of AVX2. */
    int AVX2 = 32;

    /** Bytes of a vector of SSE. */
    int SSE = 16;

    /** What writes code for vectors of so many bytes. */
    static X86Vectors of(int vectorBytes) {
        return vectorBytes == AVX2 ? new Avx2Assembler() : new SseAssembler();
    }

    /** Bytes of a vector. */
    int vectorBytes();

    /**
     * Sums that products of a row go to in turns, since an addition waits for the last. Of narrow
     * vectors a group has twice as many.
     */
    default int chains() {
        return vectorBytes() == AVX2 ? 1 : 2;
    }

    /** Floats of a vector. */
    default int lanes() {
        return vectorBytes() / Float.BYTES;
    }

    void vmovups(int to, Memory from);

    /** Bytes with signs, as many as there are 32-bit lanes, to these. */
    void vpmovsxbd(int to, Memory from);

    /** Whole numbers to floats. */
    void vcvtdq2ps(int to, int from);

    /** Zeros to that many registers, from {@code first} on. */
    default void clear(int first, int count) {
        for (int to = first; to < first + count; to++) {
            vpxor(to, to, to);
        }
    }

    void vpxor(int to, int a, int b);

    /**
     * @param b from a multiple of 16 bytes on
     */
    void vpand(int to, int a, Memory b);

    /** Each 16-bit lane shifted right, zeros moved in. */
    void vpsrlw(int to, int from, int bits);

    /** In each 16 bytes, byte i of {@code to} is the byte of {@code table} that index i names. */
    void vpshufb(int to, int table, int indices);

    /** In each 16 bytes, the lower 8 bytes of a and b in turns. */
    void vpunpcklbw(int to, int a, int b);

    /** In each 16 bytes, the upper 8 bytes of a and b in turns. */
    void vpunpckhbw(int to, int a, int b);

    /** Products of 16-bit lanes with signs, the sum of each two neighbours to a 32-bit lane. */
    void vpmaddwd(int to, int a, Memory b);

    /** Sums of whole numbers. */
    void vpaddd(int to, int a, int b);

    /** In each 16 bytes, the sums of neighbouring whole numbers of a, then those of b. */
    void vphaddd(int to, int a, int b);

    /** Adds the upper 16 bytes of whole numbers, if there are, to the lower. */
    void addUpperHalf(int to, int other);

    /** One float to one of the lower four lanes; lanes behind them may become 0. */
    void vinsertps(int to, int lane, Memory from);

    void vaddps(int to, int a, int b);

    /**
     * @param b from a multiple of 16 bytes on
     */
    void vaddps(int to, int a, Memory b);

    void vmulps(int to, int a, int b);

    void vmulps(int to, int a, Memory b);

    /** {@code to += a * b}, rounded once with AVX2 and twice with SSE. */
    void vfmadd231ps(int to, int a, int b);

    /** The same. */
    void vfmadd231ps(int to, int a, Memory b);

    /**
     * The same, where {@code a} is not needed again.
     *
     * @param b from a multiple of 16 bytes on
     */
    void addLastProduct(int to, int a, Memory b);

    /**
     * Adds a product of a row to one of its {@link #chains}, or begins it.
     *
     * @param turn the number of the product
     * @param chains the first register of them
     * @param a not needed again if {@code last}
     * @param b from a multiple of 16 bytes on
     */
    default void addProduct(int turn, int chains, int a, Memory b, boolean last) {
        int to = chains + turn % chains();
        if (turn < chains()) {
            vmulps(to, a, b);
        } else if (last) {
            addLastProduct(to, a, b);
        } else {
            vfmadd231ps(to, a, b);
        }
    }

    /** Adds the chains of a row, times a factor, to its sum. */
    default void addChains(int sum, int chains, int factor) {
        for (int other = 1; other < chains(); other++) {
            vaddps(chains, chains, chains + other);
        }
        vfmadd231ps(sum, chains, factor);
    }

    /** One float to all lanes. */
    void vbroadcastss(int to, Memory from);

    /**
     * Stores the sum of the lanes of each of {@code count} registers, one behind the other, and
     * moves {@code to} behind them. Lanes are added in the order of {@link FloatMemory#sum}.
     *
     * @param other written over
     */
    void appendSums(Register to, int sums, int other, int count);

    /** Before code that knows nothing of wide vectors goes on. */
    void vzeroupper();
}
