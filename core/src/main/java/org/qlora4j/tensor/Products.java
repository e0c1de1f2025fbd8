package org.qlora4j.tensor;

import java.util.function.BinaryOperator;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Matrix products in bf16 for CPUs without bf16 instructions. There libtorch's take tens of times
 * as long as those in f32. The factors are widened, multiplied in f32 and the result rounded once,
 * which is what the instructions do too.
 */
final class Products {
    /** Whether this CPU is known to lack the instructions; asked once, not for each product. */
    private static final boolean BF16_IS_SLOW =
            CpuFeatures.known() && !CpuFeatures.current().bf16();

    private Products() {}

    /** Whether products of such tensors are to be made here. */
    static boolean widens(DType dtype, boolean onCpu) {
        return BF16_IS_SLOW && onCpu && dtype == DType.BF16;
    }

    /** The product of two factors. */
    static Tensor of(Tensor a, Tensor b, BinaryOperator<Tensor> product) {
        try (Tensor wideA = a.to(torch.ScalarType.Float);
                Tensor wideB = b.to(torch.ScalarType.Float);
                Tensor wide = product.apply(wideA, wideB)) {
            return wide.to(torch.ScalarType.BFloat16);
        }
    }

    /** {@code x · weightᵀ + bias}. */
    static Tensor linear(Tensor x, Tensor weight, @Nullable Tensor bias) {
        if (bias == null) {
            return of(x, weight, torch::linear);
        }
        try (Tensor wide = bias.to(torch.ScalarType.Float)) {
            return of(x, weight, (a, b) -> torch.linear(a, b, wide));
        }
    }

    /** {@code sum = beta * sum + alpha * a · b}. */
    static void addInto(Tensor sum, Tensor a, Tensor b, double beta, double alpha) {
        try (Tensor wideA = a.to(torch.ScalarType.Float);
                Tensor wideB = b.to(torch.ScalarType.Float);
                Tensor wide = sum.to(torch.ScalarType.Float)) {
            wide.addmm_(wideA, wideB, new Scalar(beta), new Scalar(alpha));
            sum.copy_(wide);
        }
    }
}
