package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.tokenize.Tokenizer;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The batches of the reference run (tools/make_golden.py, smollm2), made again from the texts it
 * was fed.
 */
class BatchGoldenTest {
    private static final JsonMapper JSON = JsonMapper.shared();
    private static final int LIMIT = 192;

    /** SmolLM2's chat_template.jinja. */
    private static final ChatRenderer SMOLLM2 =
            (messages, tools, prompt) -> {
                String system =
                        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n";
                boolean own = "system".equals(messages.getFirst().get("role"));
                return (own ? "" : system)
                        + References.CHATML_TEMPLATE.render(messages, tools, prompt);
            };

    @TempDir Path folder;

    @Test
    void batchesOfReferenceRun_areEqual() throws IOException {
        Path golden =
                Path.of(System.getProperty("qlora.golden", ""))
                        .resolve("smollm2/expected.safetensors");
        Path texts =
                Path.of(System.getProperty("qlora.shared", ""))
                        .resolve("data/instruct/seed_tasks.jsonl");
        Path checkpoint = Path.of(System.getProperty("qlora.smollm2", "")).resolveSibling("");
        for (Path needed : new Path[] {golden, texts, checkpoint.resolve("tokenizer.json")}) {
            assumeTrue(Files.exists(needed), needed + " is not there");
        }
        Map<String, int[]> tensors = integers(golden);
        int steps = (int) tensors.keySet().stream().filter(k -> k.endsWith(".labels")).count();
        assertThat(steps).isGreaterThan(0);

        DataConfig config = References.config(chats(texts), DatasetFormat.AUTO, LIMIT - 64, 64);
        try (Tokenizer tokenizer = Tokenizer.load(checkpoint)) {
            // Not a TrainingSet: it leaves out the one row whose prompt fills the limit, where the
            // run kept it.
            List<Example> examples =
                    examples(
                            config,
                            new ChatEncoder(
                                    DatasetFormat.MESSAGES,
                                    config,
                                    tokenizer,
                                    References.CHATML,
                                    SMOLLM2));
            for (int step = 0; step < steps; step++) {
                Batch batch = Batch.of(examples.subList(2 * step, 2 * step + 2), 2, 1);
                assertThat(batch.inputIds())
                        .as("step %d", step)
                        .isEqualTo(tensors.get("step" + step + ".input_ids"));
                assertThat(batch.labels())
                        .as("step %d", step)
                        .isEqualTo(tensors.get("step" + step + ".labels"));
                int[] mask = new int[batch.attentionMask().length];
                for (int i = 0; i < mask.length; i++) {
                    mask[i] = batch.attentionMask()[i] ? 1 : 0;
                }
                assertThat(mask)
                        .as("step %d", step)
                        .isEqualTo(tensors.get("step" + step + ".attention_mask"));
            }
        }
    }

    private static List<Example> examples(DataConfig config, ChatEncoder encoder) {
        List<Example> examples = new ArrayList<>();
        try (Source.Rows rows = Source.of(Path.of(config.dataset().toString())).open()) {
            for (Row row = rows.next(); row != null; row = rows.next()) {
                encoder.encode(row).forEach(one -> examples.add(one.example()));
            }
        }
        return examples;
    }

    /** The tasks with an answer, as chats. */
    private String chats(Path texts) throws IOException {
        List<String> lines = new ArrayList<>();
        for (String line : Files.readAllLines(texts)) {
            JsonNode task = JSON.readTree(line);
            JsonNode instance = task.get("instances").get(0);
            String input = instance.path("input").asString("");
            String output = instance.path("output").asString("");
            if (!output.isBlank()) {
                String prompt =
                        task.get("instruction").asString() + (input.isEmpty() ? "" : "\n" + input);
                var messages =
                        List.of(
                                Map.of("role", "user", "content", prompt),
                                Map.of("role", "assistant", "content", output));
                lines.add(JSON.writeValueAsString(Map.of("messages", messages)));
            }
        }
        return References.write(folder, lines.toArray(String[]::new));
    }

    /** The I64 tensors of a safetensors file: u64 length of a JSON header, the header, the data. */
    private static Map<String, int[]> integers(Path file) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        int header = Math.toIntExact(bytes.getLong(0));
        JsonNode index =
                JSON.readTree(new String(bytes.array(), 8, header, StandardCharsets.UTF_8));
        Map<String, int[]> tensors = new HashMap<>();
        index.forEachEntry((name, tensor) -> {
            if ("I64".equals(tensor.path("dtype").asString(""))) {
                int from = 8 + header + tensor.get("data_offsets").get(0).asInt();
                int to = 8 + header + tensor.get("data_offsets").get(1).asInt();
                int[] values = new int[(to - from) / 8];
                for (int i = 0; i < values.length; i++) {
                    values[i] = Math.toIntExact(bytes.getLong(from + 8 * i));
                }
                tensors.put(name, values);
            }
        });
        return tensors;
    }
}
