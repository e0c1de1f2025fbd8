package org.qlora4j.config;

import java.nio.file.Path;
import java.util.List;
import org.qlora4j.kernel.DeviceChoice;
import org.qlora4j.model.ModelConfig;
import org.qlora4j.model.ModelInit;

/**
 * Sets keys of the section {@code model}. What each means stands at the component of {@link
 * ModelConfig} that has its name.
 */
public final class ModelKeys {
    private final SectionValues values;

    ModelKeys(SectionValues values) {
        this.values = values;
    }

    private ModelKeys set(String key, Object value) {
        values.put(key, value);
        return this;
    }

    public ModelKeys modelNameOrPath(String name) {
        return set("model_name_or_path", name);
    }

    public ModelKeys modelNameOrPath(Path path) {
        return set("model_name_or_path", path.toString());
    }

    public ModelKeys init(ModelInit init) {
        return set("init", init);
    }

    public ModelKeys device(DeviceChoice device) {
        return set("device", device);
    }

    public ModelKeys newTokens(List<String> newTokens) {
        return set("new_tokens", newTokens);
    }

    public ModelKeys newTokens(String... newTokens) {
        return set("new_tokens", List.of(newTokens));
    }

    public ModelKeys streamLayers(boolean streamLayers) {
        return set("stream_layers", streamLayers);
    }

    public ModelKeys numLabels(int numLabels) {
        return set("num_labels", numLabels);
    }

    public ModelKeys labelNames(List<String> labelNames) {
        return set("label_names", labelNames);
    }
}
