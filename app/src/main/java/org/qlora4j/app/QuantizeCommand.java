package org.qlora4j.app;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.export.ModelFolder;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code qlora quantize --model DIR --out DIR}: a model in, the same in 4 bits out. */
@Command(
        name = "quantize",
        description =
                "Store a model's linear weights in 4 bits, in bitsandbytes' layout, which transformers reads too.")
final class QuantizeCommand implements Callable<Integer> {
    private static final QuantConfig PAPER = QuantConfig.DEFAULT;

    @Mixin ModelOption model = new ModelOption();

    @Option(
            names = "--out",
            required = true,
            paramLabel = "DIR",
            description = "The folder to make.")
    Path out = Path.of("");

    @Option(
            names = "--quant-type",
            paramLabel = "nf4|fp4",
            description = "The 4-bit data type (nf4).")
    @Nullable String type;

    @Option(names = "--no-double-quant", description = "Keep the scales in 32 bits instead of 8.")
    boolean noDoubleQuant;

    @Option(
            names = "--blocksize",
            paramLabel = "N",
            description = "Weights that share one scale (64).")
    @Nullable Integer blockSize;

    @Option(
            names = "--int8",
            description =
                    "Store them in 8 bits by rows instead, LLM.int8(), with outliers from 6 on.")
    boolean int8;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        QuantConfig config =
                new QuantConfig(
                        true,
                        type == null ? PAPER.type() : QuantType.of(type),
                        !noDoubleQuant,
                        blockSize == null ? PAPER.blockSize() : blockSize,
                        PAPER.computeDtype());
        if (int8 && (type != null || noDoubleQuant || blockSize != null)) {
            throw new ConfigException(
                    "--quant-type, --no-double-quant and --blocksize are of 4 bits; leave them out with --int8");
        }
        QuantConfig held = int8 ? config.in8bit(PAPER.int8Threshold()) : config;
        long bytes = ModelFolder.quantize(model.path, held, out);
        Objects.requireNonNull(spec, "picocli sets it")
                .commandLine()
                .getOut()
                .println(
                        String.format(Locale.ROOT, "%s: weights in %s", out, ByteSize.text(bytes)));
        return ExitCode.OK;
    }
}
