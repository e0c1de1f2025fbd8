package org.qlora4j.app;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.qlora4j.LanguageModel;
import org.qlora4j.kernel.DeviceChoice;
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
     * @param weights how they are held
     */
    LanguageModel load(QuantConfig weights) {
        return load(model.path, weights, device.choice(), adapter);
    }

    /**
     * Loads a model, and puts an adapter on it if there is one. The caller closes it.
     *
     * @param adapter null for none
     */
    static LanguageModel load(
            Path model, QuantConfig quantization, DeviceChoice device, @Nullable Path adapter) {
        LanguageModel loaded = LanguageModel.load(model, quantization, device);
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
