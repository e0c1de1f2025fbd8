package org.qlora4j.app;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Models that cannot be finetuned: one line each, and nothing is left behind. */
class BadModelTest {
    private static final JsonMapper JSON = new JsonMapper();

    @TempDir Path folder;
    private TrainBed bed;

    @BeforeEach
    void layOut() {
        bed = new TrainBed(folder);
    }

    private void refused(Object... parts) {
        bed.assertRefused(List.of(), parts);
    }

    @Test
    void missingFolder() {
        Path none = folder.resolve("no-such-model");
        bed.assertRefused(List.of("--model", none.toString()), none);
    }

    @Test
    void folderWithoutWeights() throws IOException {
        Files.delete(bed.model("model.safetensors"));
        refused(bed.model(), "model.safetensors", "name a model's folder");
    }

    @Test
    void missingConfig() throws IOException {
        Files.delete(bed.model("config.json"));
        refused(bed.model("config.json"), "is missing");
    }

    @Test
    void otherArchitecture() {
        change("config.json", "\"model_type\": \"llama\"", "\"model_type\": \"bert\"");
        refused(
                bed.model("config.json"),
                "model_type \"bert\" is not supported",
                "supported: gemma, ",
                "llama, ");
    }

    @Test
    void malformedConfig() {
        change("config.json", "\"num_hidden_layers\": 2,", "\"num_hidden_layers\": 2");
        refused(bed.model("config.json") + ":20: not valid JSON", "column 3");
    }

    @Test
    void valueOutOfRange() {
        change("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": -2");
        refused(bed.model("config.json"), "num_hidden_layers", "-2");
    }

    @Test
    void shapesThatDisagree() {
        change("config.json", "\"intermediate_size\": 56", "\"intermediate_size\": 64");
        refused(
                bed.model(),
                "model.layers.0.mlp.gate_proj.weight",
                "[56, 32]",
                "config.json calls for [64, 32]");
    }

    @Test
    void moreLayersThanStored() {
        change("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
        refused(bed.model(), "has no tensor model.layers.2.", "config.json calls for");
    }

    @Test
    void weightThatIsNan() throws IOException {
        Path file = bed.model("model.safetensors");
        byte[] bytes = Files.readAllBytes(file);
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        int header = (int) buffer.getLong(0);
        String name = "model.layers.1.mlp.up_proj.weight";
        JsonNode tensor = JSON.readTree(bytes, 8, header).get(name);
        buffer.putFloat(8 + header + tensor.get("data_offsets").get(0).asInt() + 40, Float.NaN);
        Files.write(file, bytes);
        refused(bed.model(), name, "NaN or infinite", "fetch the checkpoint again");
    }

    @Test
    void truncatedSafetensors() throws IOException {
        Path file = bed.model("model.safetensors");
        byte[] bytes = Files.readAllBytes(file);
        Files.write(file, Arrays.copyOf(bytes, bytes.length - 1000));
        refused(file, Integer.toString(bytes.length - 1000));
    }

    @Test
    void emptySafetensors() throws IOException {
        Files.write(bed.model("model.safetensors"), new byte[0]);
        refused(bed.model("model.safetensors"));
    }

    @Test
    void missingShard() throws IOException {
        Files.move(bed.model("model.safetensors"), bed.model("model-00001-of-00002.safetensors"));
        TrainBed.write(
                bed.model("model.safetensors.index.json"),
                """
                {"metadata": {"total_size": 1}, "weight_map": {
                "model.embed_tokens.weight": "model-00001-of-00002.safetensors",
                "lm_head.weight": "model-00002-of-00002.safetensors"}}
                """);
        refused("model-00002-of-00002.safetensors", "model.safetensors.index.json");
    }

    @Test
    void truncatedGguf() throws IOException {
        byte[] bytes = Files.readAllBytes(TrainBed.resource("checkpoint/gqa.gguf"));
        Path file = bed.model("gqa.gguf");
        Files.write(file, Arrays.copyOf(bytes, bytes.length / 2));
        bed.assertRefused(List.of("--model", file.toString()), file);
    }

    @Test
    void missingTokenizer() throws IOException {
        Files.delete(bed.model("tokenizer.json"));
        refused(bed.model("tokenizer.json"), "is missing");
    }

    @Test
    void malformedTokenizer() {
        TrainBed.write(bed.model("tokenizer.json"), "{\"version\": \"1.0\", ");
        refused(bed.model("tokenizer.json"));
    }

    @Test
    void tokenizerOfALargerModel() {
        change("config.json", "\"vocab_size\": 160", "\"vocab_size\": 80");
        refused("80");
    }

    @Test
    void malformedTemplate() {
        TrainBed.write(bed.model("chat_template.jinja"), "{% for m in messages %}\n{{ m.content }");
        TrainBed.write(
                bed.data(),
                "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}\n");
        refused(bed.model("chat_template.jinja"));
    }

    private void change(String file, String from, String to) {
        String text = TrainBed.read(bed.model(file));
        if (!text.contains(from)) {
            throw new IllegalArgumentException(file + " holds no " + from);
        }
        TrainBed.write(bed.model(file), text.replace(from, to));
    }
}
