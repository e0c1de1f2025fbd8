package org.qlora4j.tensor;

import java.util.function.BinaryOperator;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Matrix products of libtorch. A CPU without bf16 instructions takes tens of times as long for a
 * product in bf16 as for one in f32; there the factors are widened, multiplied in f32 and the
 * result rounded once, which is what the instructions do too.
 */
final class Products {
    private Products() {}

    /** The product of two factors of one dtype, in that dtype. */
    static Tensor of(Tensor a, Tensor b, BinaryOperator<Tensor> product) {
        if (!isSlow(a)) {
            return product.apply(a, b);
        }
        try (Tensor wideA = a.to(torch.ScalarType.Float);
                Tensor wideB = b.to(torch.ScalarType.Float);
                Tensor wide = product.apply(wideA, wideB)) {
            return wide.to(torch.ScalarType.BFloat16);
        }
    }

    /** {@code sum = beta * sum + alpha * a · b}. */
    static void addInto(Tensor sum, Tensor a, Tensor b, double beta, double alpha) {
        if (!isSlow(a)) {
            sum.addmm_(a, b, new Scalar(beta), new Scalar(alpha));
            return;
        }
        try (Tensor wideA = a.to(torch.ScalarType.Float);
                Tensor wideB = b.to(torch.ScalarType.Float);
                Tensor wide = sum.to(torch.ScalarType.Float)) {
            wide.addmm_(wideA, wideB, new Scalar(beta), new Scalar(alpha));
            sum.copy_(wide);
        }
    }

    private static boolean isSlow(Tensor of) {
        return of.scalar_type().intern() == torch.ScalarType.BFloat16
                && of.is_cpu()
                && !CpuFeatures.current().bf16();
    }
}
