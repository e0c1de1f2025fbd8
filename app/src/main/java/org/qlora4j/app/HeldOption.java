package org.qlora4j.app;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/**
 * {@code --no-quantize}, {@code --keep-quantization} and {@code --dtype}, the same in every command
 * that holds weights in 4 bits by default.
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

    @Option(
            names = "--dtype",
            paramLabel = "DTYPE",
            converter = Dtypes.class,
            description =
                    "Compute in float32, or in bfloat16 where the processor has it, which is the default.")
    ComputeDtype dtype = QuantConfig.DEFAULT.computeDtype();

    /** Types by the names that settings have. */
    static final class Dtypes implements ITypeConverter<ComputeDtype> {
        @Override
        public ComputeDtype convert(String name) {
            for (ComputeDtype each : ComputeDtype.values()) {
                if (nameOf(each).equals(name)) {
                    return each;
                }
            }
            throw new TypeConversionException("'" + name + "' is neither float32 nor bfloat16");
        }
    }

    private static String nameOf(ComputeDtype dtype) {
        return dtype.name().toLowerCase(Locale.ROOT);
    }

    /** How weights are held, and what they are multiplied in. */
    QuantConfig config() {
        QuantConfig held = QuantConfig.DEFAULT.withComputeDtype(dtype);
        if (way == null) {
            return held;
        }
        return way.kept ? held.keepingStored() : held.withLoad4bit(false);
    }

    /** The same as settings of a run; those that are as by default are left out. */
    List<String> settings() {
        List<String> settings = new ArrayList<>();
        settings.add(
                way != null && way.kept
                        ? "quantization.keep_quantization=true"
                        : "quantization.load_in_4bit=" + (way == null));
        if (dtype != QuantConfig.DEFAULT.computeDtype()) {
            settings.add("quantization.bnb_4bit_compute_dtype=" + nameOf(dtype));
        }
        return settings;
    }
}
