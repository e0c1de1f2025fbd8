package org.qlora4j.kernel;

/** The instructions on vectors of {@link WholeTiles}' loops, of AVX2 and of AVX-512. */
interface TileVectors extends X86Instructions {
    /** Zeros to that many registers, from {@code first} on. */
    void clear(int first, int count);

    void vmovups(int to, Memory from);

    void vmovups(Memory to, int from);

    /** 32 bits to all lanes. */
    void vbroadcastss(int to, Memory from);

    /**
     * Adds, to each 32-bit lane, the products of its two whole numbers of 16 bits.
     *
     * @param product may be written over
     */
    void addProducts(int to, int a, int b, int product);

    void vcvtdq2ps(int to, int from);

    void vmulps(int to, int a, Memory b);

    /** {@code to = to * a + b}, rounded once. */
    void vfmadd213ps(int to, int a, Memory b);
}
