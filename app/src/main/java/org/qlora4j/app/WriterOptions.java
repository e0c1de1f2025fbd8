package org.qlora4j.app;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.qlora4j.LanguageModel;
import org.qlora4j.quant.QuantConfig;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code --model}, {@code --adapter} and {@code --device}: what writes, the same in every command
 * that generates text.
 */
final class WriterOptions {
    @Mixin ModelOption model = new ModelOption();

    @Option(
            names = "--adapter",
            paramLabel = "DIR",
            description = "A PEFT adapter to put on it, or a run folder of qlora train.")
    @Nullable Path adapter;

    @Mixin DeviceOption device = new DeviceOption();

    /**
     * Loads the model and puts the adapter on it. The caller closes it.
     *
     * @param quantized whether weights are held in 4 bits, as the paper does, or as in the
     *     checkpoint
     */
    LanguageModel load(boolean quantized) {
        QuantConfig weights = QuantConfig.DEFAULT.withLoad4bit(quantized);
        LanguageModel loaded = LanguageModel.load(model.path, weights, device.choice());
        if (adapter != null) {
            try {
                loaded.withAdapter(adapter);
            } catch (RuntimeException e) {
                loaded.close();
                throw e;
            }
        }
        return loaded;
    }
}
