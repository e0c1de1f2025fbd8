package org.qlora4j.spark;

import java.io.Serializable;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.LanguageModel;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.ConfigException;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.task.TaskLog;

/**
 * Names a model that each executor loads for itself.
 *
 * @param model as {@code --model}; a path that every executor sees
 * @param adapter likewise; null for none
 * @param settings of {@code quantization} as key=value, such as {@code
 *     quantization.load_in_4bit=false}
 * @param batch texts that one executor computes together, at least 1
 */
public record SparkModel(String model, @Nullable String adapter, List<String> settings, int batch)
        implements Serializable {
    public SparkModel {
        settings = List.copyOf(settings);
        if (batch < 1) {
            throw ConfigException.of("batch must be at least 1, got %d", batch);
        }
    }

    /** What the model is called where its answers are kept. */
    public String name() {
        return TaskLog.name(Path.of(model), adapterPath());
    }

    /** Tells it from others whose answers may differ; reads the folders as the driver sees them. */
    String identity() {
        return name()
                + " "
                + TaskLog.stamp(Path.of(model), adapterPath(), quantization().toString());
    }

    private @Nullable Path adapterPath() {
        return adapter == null ? null : Path.of(adapter);
    }

    LanguageModel load() {
        LanguageModel loaded = LanguageModel.load(Path.of(model), quantization());
        Path own = adapterPath();
        try {
            return own == null ? loaded : loaded.withAdapter(own);
        } catch (RuntimeException e) {
            loaded.close();
            throw e;
        }
    }

    private QuantConfig quantization() {
        List<String> words = new ArrayList<>(settings);
        words.add("model.model_name_or_path=" + model);
        words.add("data.dataset=none"); // which a run needs and a model does not
        return RunConfig.of(words.toArray(String[]::new)).quantization();
    }
}
