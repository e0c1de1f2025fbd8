package org.qlora4j.family;

import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.model.ConfigFile;
import tools.jackson.databind.JsonNode;

/** How a checkpoint says its weights were quantized, and whether they are read. */
final class QuantMethod {
    private static final String READ = "bitsandbytes";

    private QuantMethod() {}

    /**
     * Refuses weights of GPTQ, AWQ, compressed-tensors, FP8, MLX and others, whose numbers mean
     * something only to these tools.
     *
     * @throws FormatException with the method and the way out
     */
    static void requireRead(ConfigFile config) {
        String key = "quantization_config";
        JsonNode quantization = config.object(key);
        if (quantization == null) {
            key = "compression_config";
            quantization = config.object(key);
        }
        String method = quantization == null ? null : method(quantization);
        if (quantization == null && config.object("quantization") != null) {
            key = "quantization";
            method = "MLX";
        }
        if (method != null && !method.equals(READ)) {
            throw FormatException.of(
                    "%s: %s says that the weights were quantized by %s, which is not read; name the model that they were"
                            + " made from, or one in 4 bits of bitsandbytes",
                    config.file(),
                    key.equals("quantization") ? key : key + ".quant_method",
                    method);
        }
    }

    private static @Nullable String method(JsonNode quantization) {
        JsonNode method = quantization.path("quant_method");
        if (method.isString() && !method.stringValue().isBlank()) {
            return method.stringValue().strip();
        }
        return quantization.path("load_in_4bit").asBoolean(false)
                        || quantization.path("load_in_8bit").asBoolean(false)
                ? null
                : "an unnamed method";
    }
}
