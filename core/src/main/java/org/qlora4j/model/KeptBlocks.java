package org.qlora4j.model;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.Notice;
import org.qlora4j.kernel.BlockType;
import org.qlora4j.model.ModelShape.LinearShape;

/**
 * The linear weights of a GGUF file that stay in its blocks, and those that do not; only the header
 * is read.
 *
 * @param file with the weights
 * @param bytes of each weight that stays, by its path in the model
 * @param rest how many do not, by their type
 */
public record KeptBlocks(Path file, Map<String, Long> bytes, Map<String, Integer> rest) {
    /**
     * Looks at a checkpoint.
     *
     * @throws ConfigException if no weight of it is in blocks that can be kept
     */
    public static KeptBlocks of(Checkpoint checkpoint, ModelShape shape) {
        Map<String, Long> bytes = new HashMap<>();
        Map<String, Integer> rest = new TreeMap<>();
        Path file = checkpoint.files().getFirst();
        for (LinearShape linear : shape.linears()) {
            String name = linear.path() + ".weight";
            if (!linear.quantizable() || !checkpoint.has(name)) {
                continue;
            }
            BlockType type = checkpoint.blockType(name);
            if (type != null && type.isKept()) {
                bytes.put(linear.path(), type.bytes(linear.out() * linear.in()));
            } else {
                Object stored = type == null ? checkpoint.info(name).type() : type;
                rest.merge(stored.toString(), 1, Integer::sum);
            }
        }
        if (bytes.isEmpty()) {
            String types = rest.isEmpty() ? "" : " (in " + String.join(", ", rest.keySet()) + ")";
            throw nothing(file + types);
        }
        return new KeptBlocks(file, bytes, rest);
    }

    /** The error for a model without such blocks. */
    static ConfigException nothing(String origin) {
        return ConfigException.of(
                "quantization.keep_quantization is true, but no weight of %s is in blocks of a GGUF file that can be kept (%s);"
                        + " leave it out, and weights are held in 4 bits",
                origin,
                BlockType.KEPT.stream().map(BlockType::name).collect(Collectors.joining(", ")));
    }

    /** Says in a line which weights are not kept in blocks, if there are any. */
    void sayRest() {
        if (!rest.isEmpty()) {
            String types =
                    rest.entrySet().stream()
                            .map(entry -> entry.getValue() + " in " + entry.getKey())
                            .collect(Collectors.joining(", "));
            Notice.say(
                    "%s: %d linear weights stay in their blocks; others are held as they are decoded: %s"
                            .formatted(file, bytes.size(), types));
        }
    }
}
