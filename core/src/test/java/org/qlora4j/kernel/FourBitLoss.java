package org.qlora4j.kernel;

/**
 * What 4-bit products in f32 lose beside exact ones, where nothing is recorded: little, or what
 * {@link WholeRows} lose.
 */
public final class FourBitLoss {
    /** Of a product's largest result: half a unit of x and of the levels, over a line. */
    private static final double OF_PRODUCT = 2e-4;

    /** Of a model's largest logit, behind many such products: 4e-4 of SmolLM2's 210. */
    private static final double OF_MODEL = 5e-4;

    private FourBitLoss() {}

    /** Whether the kernels of this process round x to 16 bits. */
    public static boolean isOfWholeNumbers() {
        return switch (Kernels.current().fourBitProduct()) {
            case Avx512FourBitProduct p -> true;
            case Avx2FourBitProduct p -> true;
            case SseFourBitProduct p -> true;
            default -> false;
        };
    }

    /** Relative to a product's largest result, {@code float32} of kernels that round nothing. */
    public static double ofProduct(double float32) {
        return isOfWholeNumbers() ? Math.max(OF_PRODUCT, float32) : float32;
    }

    /** Relative to a model's largest logit, {@code float32} of kernels that round nothing. */
    public static double ofModel(double float32) {
        return isOfWholeNumbers() ? Math.max(OF_MODEL, float32) : float32;
    }
}
