package org.qlora4j.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.StoredTensor;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * The resource folder {@code strangers}: odd but sound checkpoints and adapters, and what
 * transformers and PEFT make of them ({@code make_stranger_references.py}).
 */
public final class Strangers {
    private static final JsonMapper JSON = new JsonMapper();

    private Strangers() {}

    /** A part of the folder. */
    public static Path folder(String name) {
        try {
            return Path.of(
                            Objects.requireNonNull(
                                            Strangers.class.getResource("/strangers/expected.json"))
                                    .toURI())
                    .resolveSibling(name);
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Losses by case, and the ids that they are of. */
    public static JsonNode expected() {
        return Golden.json(folder("expected.json"));
    }

    /**
     * Writes {@code base} with another config into a folder.
     *
     * @param json an object whose keys go over those of {@code config.json}
     */
    public static Path base(Path target, String json) {
        return base(target, json, tensors -> tensors);
    }

    /**
     * Writes {@code base} with another config and other tensors into a folder.
     *
     * @param json an object whose keys go over those of {@code config.json}
     */
    public static Path base(
            Path target, String json, UnaryOperator<Map<String, StoredTensor>> change) {
        return changed("base", target, json, change);
    }

    /**
     * As {@link #base}, of another part of the folder; tokenizer and template are those of base.
     */
    public static Path changed(
            String source,
            Path target,
            String json,
            UnaryOperator<Map<String, StoredTensor>> change) {
        try {
            for (String name : new String[] {"tokenizer.json", "chat_template.jinja"}) {
                Files.copy(folder("base").resolve(name), target.resolve(name));
            }
            ObjectNode config = (ObjectNode) Golden.json(folder(source).resolve("config.json"));
            JSON.readTree(json).forEachEntry(config::set);
            Files.writeString(target.resolve("config.json"), config.toString());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        try (Checkpoint checkpoint = Checkpoint.open(folder(source));
                Arena arena = Arena.ofConfined()) {
            Map<String, StoredTensor> tensors = new LinkedHashMap<>();
            checkpoint.names().forEach(name -> tensors.put(name, checkpoint.read(name, arena)));
            SafetensorsWriter writer = new SafetensorsWriter(Map.of("format", "pt"));
            change.apply(tensors)
                    .forEach((name, t) -> writer.add(name, t.type(), t.shape(), t.data()));
            writer.write(target.resolve("model.safetensors"));
        }
        return target;
    }

    /** The lines that the library says while something runs. */
    public static String said(Runnable action) {
        StringBuilder said = new StringBuilder();
        Handler handler =
                new Handler() {
                    @Override
                    public void publish(LogRecord record) {
                        said.append(record.getMessage()).append('\n');
                    }

                    @Override
                    public void flush() {}

                    @Override
                    public void close() {}
                };
        Logger logger = Logger.getLogger("org.qlora4j");
        logger.addHandler(handler);
        try {
            action.run();
        } finally {
            logger.removeHandler(handler);
        }
        return said.toString();
    }
}
