package org.qlora4j.export;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.tokenize.Tokenizer;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * What lies beside the weights of a whole model: tokenizer, chat template, licence and generation
 * settings. An adapter that brings a tokenizer of its own, for new tokens, brings it whole.
 */
final class CompanionFiles {
    private static final List<String> LICENCES = List.of("LICENSE", "LICENSE.txt", "LICENSE.md");

    private CompanionFiles() {}

    /**
     * Writes them.
     *
     * @param base folder of the base model
     * @param adapter folder of the adapter
     * @param template the chat template that goes with the adapter; null for the base's own
     * @param stops ids that end a text by the model's files
     * @return all ids that end a text
     */
    static Set<Integer> write(
            Path base,
            @Nullable Path adapter,
            @Nullable String template,
            Set<Integer> stops,
            Path folder) {
        Path tokenizer =
                adapter != null && Files.isRegularFile(adapter.resolve("tokenizer.json"))
                        ? adapter
                        : base;
        ModelFolder.copyCompanions(tokenizer, folder, ModelFolder.TOKENIZER);
        ModelFolder.copyCompanions(base, folder, LICENCES);
        if (template == null) {
            ModelFolder.copyCompanions(base, folder, List.of(ModelFolder.TEMPLATE));
        } else {
            useTemplate(template, folder);
        }
        ModelFolder.copyCompanions(base, folder, List.of(ModelFolder.GENERATION));
        if (!Tokenizer.isIn(folder)) {
            return stops;
        }
        // its config.json, which names special tokens too, is there already
        try (Tokenizer read = Tokenizer.load(folder)) {
            Set<Integer> all = StopTokens.of(stops, read);
            writeGeneration(all, read, folder);
            return all;
        }
    }

    /** The template stands in a file of its own alone: two texts would be one too many. */
    private static void useTemplate(String template, Path folder) {
        AtomicFiles.writeText(folder.resolve(ModelFolder.TEMPLATE), template);
        Path file = folder.resolve("tokenizer_config.json");
        if (Files.isRegularFile(file)) {
            ObjectNode config = ModelFolder.readObject(file);
            if (config.remove("chat_template") != null) {
                AtomicFiles.writeText(file, ModelFolder.JSON.writeValueAsString(config) + "\n");
            }
        }
    }

    /** Programs that generate look here for where to stop. */
    private static void writeGeneration(Set<Integer> stops, Tokenizer tokenizer, Path folder) {
        Path file = folder.resolve(ModelFolder.GENERATION);
        boolean isNew = !Files.isRegularFile(file);
        ObjectNode config =
                isNew ? ModelFolder.JSON.createObjectNode() : ModelFolder.readObject(file);
        if (isNew) {
            tokenizer.bosId().ifPresent(id -> config.put("bos_token_id", id));
            tokenizer.padId().ifPresent(id -> config.put("pad_token_id", id));
        }
        List<Integer> ids = new ArrayList<>();
        tokenizer.eosId().ifPresent(ids::add); // the first is the one that some programs take
        stops.stream().filter(id -> !ids.contains(id)).forEach(ids::add);
        if (ids.size() == 1) {
            config.put("eos_token_id", ids.getFirst());
        } else if (!ids.isEmpty()) {
            ArrayNode all = config.putArray("eos_token_id");
            ids.forEach(all::add);
        }
        AtomicFiles.writeText(file, ModelFolder.JSON.writeValueAsString(config) + "\n");
    }
}
