package org.qlora4j.lora;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.LoraFactors;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.error.ConfigException;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.tensor.TruncatedSvd;

/**
 * Takes weights apart for PiSSA (arXiv 2404.02948, section 3) as they are read, before they are
 * quantized: {@code W = residual + scale * BA}, where A and B come from the r largest singular
 * values and the scale is that of the adapter. The adapter begins with A and B; only the residual
 * is held in 4 bits, which loses less of the weight.
 *
 * <p>A and B are rounded to the compute dtype first and then taken from the weight, so that nothing
 * of it is lost to their rounding.
 *
 * @param config with {@link LoraInit.Pissa}
 * @param compute dtype of the layers' inputs
 * @param seed of the randomized decomposition, with a layer's path
 * @param checkpoint folder of an adapter of the same run, from which A and B are read instead of
 *     being computed: what learnt stands on the very residuals it began with; or null
 */
public record PrincipalParts(
        LoraConfig config, DType compute, long seed, @Nullable Path checkpoint) {
    /** What a configuration asks for; null if it leaves weights whole. */
    public static @Nullable PrincipalParts of(
            LoraConfig config, DType compute, long seed, @Nullable Path checkpoint) {
        return config.initLoraWeights() instanceof LoraInit.Pissa
                ? new PrincipalParts(config, compute, seed, checkpoint)
                : null;
    }

    /** Whether the weight of the layer with this path is to be taken apart. */
    public boolean chooses(String path) {
        return LoraAdapter.chooses(config, path);
    }

    /**
     * The principal part of a weight, frozen, in the compute dtype. The caller owns it.
     *
     * @param path of the layer
     * @param weight [out, in], finite
     * @throws ConfigException if it has fewer singular values than the rank asks for
     */
    public LoraFactors take(String path, Tensor weight) {
        int rank = config.rankOf(path);
        long most = Math.min(weight.size(0), weight.size(1));
        if (rank > most) {
            throw ConfigException.of(
                    "lora.r is %d, but %s [%d, %d] has only %d singular values, and pissa needs one for each; lower it, or"
                            + " set lora.rank_pattern for this layer",
                    rank, path, weight.size(0), weight.size(1), most);
        }
        try (TensorScope scope = TensorScope.open()) {
            Tensor a;
            Tensor b;
            if (checkpoint == null) {
                TruncatedSvd svd = decompose(path, weight.to(DType.F32), rank);
                Tensor root = svd.s().times(1 / config.scalingOf(path)).sqrt();
                a = svd.vh().times(root.unsqueeze(1));
                b = svd.u().times(root);
            } else {
                Tensor[] start = PeftAdapter.startOf(checkpoint, config, path, weight.shape());
                a = start[0];
                b = start[1];
            }
            return new LoraFactors(
                    Parameter.frozen(path + ".lora_A.weight", a.contiguous().to(compute)),
                    Parameter.frozen(path + ".lora_B.weight", b.contiguous().to(compute)),
                    config.scalingOf(path),
                    0);
        }
    }

    private TruncatedSvd decompose(String path, Tensor weight, int rank) {
        Integer iterations = ((LoraInit.Pissa) config.initLoraWeights()).iterations();
        return iterations == null
                ? TruncatedSvd.exact(weight, rank)
                : TruncatedSvd.randomized(weight, rank, iterations, seed * 31 + path.hashCode());
    }

    /** What the principal part leaves of a weight, in F32, in the innermost scope. */
    public static Tensor residual(Tensor weight, LoraFactors principal) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor rest = Tensors.empty(DType.F32, weight.shape()).copyFrom(weight);
            Tensor b = principal.b().value().to(DType.F32);
            rest.addmmInPlace(b, principal.a().value().to(DType.F32), 1, -principal.scale());
            return scope.promote(rest);
        }
    }
}
