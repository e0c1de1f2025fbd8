package org.qlora4j.data;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.OptionalInt;
import org.qlora4j.error.ConfigException;
import org.qlora4j.testing.PackedJson;
import org.qlora4j.tokenize.Tokenizer;
import tools.jackson.databind.DatabindException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * The files that {@code src/test/python/make_data_references.py} made, and what tests make of them.
 */
final class References {
    static final SpecialIds LLAMA = new SpecialIds(OptionalInt.of(1), 2, 0);
    static final SpecialIds CHATML = new SpecialIds(OptionalInt.empty(), 2, 2);

    /** ChatML as its template writes it, without a default system message. */
    static final ChatRenderer CHATML_TEMPLATE =
            (messages, tools, prompt) -> {
                StringBuilder text = new StringBuilder();
                for (var m : messages) {
                    text.append(
                            "<|im_start|>%s\n%s<|im_end|>\n"
                                    .formatted(m.get("role"), m.get("content")));
                }
                return text + (prompt ? "<|im_start|>assistant\n" : "");
            };

    private References() {}

    static JsonNode json(String name) {
        return PackedJson.resource(References.class, name);
    }

    static Tokenizer tokenizer(String name) {
        try {
            return Tokenizer.load(
                    Path.of(Objects.requireNonNull(References.class.getResource(name)).toURI()));
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    static int[] ints(JsonNode array) {
        return array.valueStream().mapToInt(JsonNode::asInt).toArray();
    }

    static String write(Path folder, String... lines) {
        try {
            Path file = folder.resolve("train.jsonl");
            Files.writeString(file, String.join("\n", lines));
            return file.toString();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static DataConfig config(
            String dataset, DatasetFormat format, int sourceMaxLen, int targetMaxLen) {
        return settings(
                "dataset", dataset,
                "dataset_format", format.key(),
                "source_max_len", sourceMaxLen,
                "target_max_len", targetMaxLen);
    }

    /** The defaults, over which keys of section {@code data} go, each before its value. */
    static DataConfig settings(Object... keysAndValues) {
        ObjectNode tree = JsonMapper.shared().valueToTree(DataConfig.DEFAULT);
        for (int i = 0; i < keysAndValues.length; i += 2) {
            tree.putPOJO(String.valueOf(keysAndValues[i]), keysAndValues[i + 1]);
        }
        try {
            JsonNode plain = JsonMapper.shared().readTree(tree.toString());
            return JsonMapper.shared().treeToValue(plain, DataConfig.class);
        } catch (DatabindException e) {
            if (e.getCause() instanceof ConfigException mistake) {
                throw mistake;
            }
            throw e;
        }
    }

    /** The labels of an example, -100 where masked. */
    static int[] labels(Example example) {
        int[] labels = new int[example.length()];
        for (int t = 0; t < labels.length; t++) {
            labels[t] = example.labelled().get(t) ? example.ids()[t] : -100;
        }
        return labels;
    }
}
