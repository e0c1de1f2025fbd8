package org.qlora4j.app;

import org.jspecify.annotations.Nullable;
import org.qlora4j.quant.QuantConfig;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Option;

/**
 * {@code --no-quantize} and {@code --keep-quantization}, the same in every command that holds
 * weights in 4 bits by default.
 */
final class HeldOption {
    /** One of the two. */
    static final class Way {
        @Option(
                names = "--no-quantize",
                description = "Keep the weights as in the checkpoint instead of 4 bits.")
        boolean plain;

        @Option(
                names = "--keep-quantization",
                description = "Keep the weights of a GGUF file in the blocks it stores.")
        boolean kept;
    }

    @ArgGroup @Nullable Way way;

    /** How weights are held. */
    QuantConfig config() {
        if (way == null) {
            return QuantConfig.DEFAULT;
        }
        return way.kept
                ? QuantConfig.DEFAULT.keepingStored()
                : QuantConfig.DEFAULT.withLoad4bit(false);
    }

    /** The same as a setting of a run. */
    String setting() {
        return way != null && way.kept
                ? "quantization.keep_quantization=true"
                : "quantization.load_in_4bit=" + (way == null);
    }
}
