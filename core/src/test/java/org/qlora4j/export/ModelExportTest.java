package org.qlora4j.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.qlora4j.autograd.Tape;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.error.FormatException;
import org.qlora4j.family.Families;
import org.qlora4j.family.GgufFolder;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.family.Models;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.LoadedModel;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.TinyLlama;
import org.qlora4j.tokenize.Tokenizer;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** GGUF files and the gate before them; that llama.cpp reads them, check_gguf_export.py shows. */
class ModelExportTest {
    private static final JsonMapper JSON = new JsonMapper();
    private static final QuantConfig PLAIN =
            new QuantConfig(false, QuantType.NF4, false, 64, ComputeDtype.FLOAT32);

    private static final String TEMPLATE =
            "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ eos_token }}\n{% endfor %}"
                    + "{% if add_generation_prompt %}<|assistant|>{% endif %}";

    @TempDir Path folder;

    private static ModelExport export(Path model, List<List<Map<String, Object>>> chats) {
        AdapterMerge source = new AdapterMerge(ModelPlace.of(model), null, null, PLAIN, null);
        return new ModelExport(source, MergeTarget.ORIGINAL, chats, List.of("the text <s> th"));
    }

    private static Tensor logits(CausalModel model) {
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.inference();
                BatchContext seen = BatchContext.of(1, 6)) {
            Tensor ids = Tensors.of(new long[] {1, 40, 7, 99, 12, 120}, 1, 6);
            Tensor hidden = model.hidden(tape, ids, seen, false).value();
            return scope.promote(model.logits(hidden).copy());
        }
    }

    /** Rows of q and k are put in llama.cpp's order and back; nothing but the file is needed. */
    @ParameterizedTest
    @EnumSource(names = {"F32", "Q8_0", "Q4_K_M"})
    void exportedModel_isReadFromTheFileAlone(GgufFormat format) throws IOException {
        Path out = folder.resolve("tiny.gguf");
        long before = NativeMemory.liveBytes();
        ModelExport.Result result = export(TinyLlama.folder(), List.of()).gguf(format, out, false);
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
        assertThat(result.file()).isEqualTo(out);
        assertThat(result.bytes()).isEqualTo(Files.size(out));
        assertThat(result.differences()).isEmpty();
        Path read = Files.createDirectory(folder.resolve("read"));
        GgufFolder.write(out, read);
        try (TensorScope scope = TensorScope.open();
                Checkpoint weights = Checkpoint.open(out);
                CausalModel model = Models.load(TinyLlama.folder(), PLAIN, DType.F32);
                CausalModel exported =
                        LoadedModel.read(
                                Families.shape(read), weights, PLAIN, DType.F32, false, null);
                Tokenizer tokenizer = Tokenizer.load(read)) {
            assertThat(exported.eosIds()).isEqualTo(model.eosIds());
            assertThat(exported.maxPositions()).isEqualTo(model.maxPositions());
            double tolerance =
                    format == GgufFormat.F32 ? 1e-5 : format == GgufFormat.Q8_0 ? 0.3 : 3;
            Close.assertClose("logits", logits(exported), logits(model), 0, tolerance);
            assertThat(tokenizer.encode("the <s> th", true))
                    .isEqualTo(encode(TinyLlama.folder(), "the <s> th"));
        }
    }

    private static int[] encode(Path model, String text) {
        try (Tokenizer tokenizer = Tokenizer.load(model)) {
            return tokenizer.encode(text, true);
        }
    }

    /** What the gate says of an export made from changed files, held against the true ones. */
    private List<String> differences(Consumer<Path> change) throws IOException {
        Path truth = Files.createDirectory(folder.resolve("truth"));
        TinyLlama.copyTo(truth);
        Files.writeString(truth.resolve("chat_template.jinja"), TEMPLATE);
        Path changed = Files.createDirectory(folder.resolve("changed"));
        TinyLlama.copyTo(changed);
        Files.writeString(changed.resolve("chat_template.jinja"), TEMPLATE);
        change.accept(changed);
        Path out = folder.resolve("changed.gguf");
        export(changed, List.of()).gguf(GgufFormat.F32, out, false);
        Path read = Files.createDirectory(folder.resolve("read"));
        GgufFolder.write(out, read);
        try (Tokenizer model = Tokenizer.load(truth);
                Tokenizer exported = Tokenizer.load(read)) {
            return ExportGate.differences(
                    model,
                    exported,
                    StopTokens.of(Families.shape(TinyLlama.folder()).eosIds(), model),
                    Families.shape(read).eosIds(),
                    160,
                    List.of(),
                    List.of());
        }
    }

    private static void edit(Path file, Consumer<ObjectNode> change) {
        try {
            ObjectNode json = (ObjectNode) JSON.readTree(Files.readString(file));
            change.accept(json);
            Files.writeString(file, JSON.writeValueAsString(json));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void unchangedFiles_pass() throws IOException {
        assertThat(differences(_ -> {})).isEmpty();
    }

    @Test
    void templateWithoutEos_isStopped() throws IOException {
        List<String> found =
                differences(changed -> {
                    Path file = changed.resolve("chat_template.jinja");
                    try {
                        Files.writeString(file, TEMPLATE.replace("{{ eos_token }}", ""));
                    } catch (IOException e) {
                        throw new AssertionError(e);
                    }
                });
        assertThat(found).singleElement().asString().contains("rendered otherwise", "</s>");
    }

    @Test
    void wrongBosFlag_isStopped() throws IOException {
        List<String> found =
                differences(changed ->
                        edit(
                                changed.resolve("tokenizer.json"),
                                json -> {
                                    ArrayNode single =
                                            (ArrayNode) json.get("post_processor").get("single");
                                    single.remove(0);
                                }));
        assertThat(found).anyMatch(line -> line.contains("no BOS before a text"));
    }

    @Test
    void missingAddedToken_isStopped() throws IOException {
        List<String> found =
                differences(changed ->
                        edit(
                                changed.resolve("tokenizer.json"),
                                json -> {
                                    ArrayNode added = (ArrayNode) json.get("added_tokens");
                                    JsonNode last = added.remove(added.size() - 1);
                                    String token = last.get("content").asString();
                                    ((ObjectNode) json.get("model").get("vocab")).remove(token);
                                }));
        assertThat(found).anyMatch(line -> line.matches("token \\d+ is .* and missing in .*"));
    }

    @Test
    void cutVocabulary_isStopped() throws IOException {
        List<String> found =
                differences(changed ->
                        edit(
                                changed.resolve("tokenizer.json"),
                                json -> {
                                    ObjectNode model = (ObjectNode) json.get("model");
                                    ArrayNode merges = (ArrayNode) model.get("merges");
                                    JsonNode last = merges.remove(merges.size() - 1);
                                    String token = last.get(0).asString() + last.get(1).asString();
                                    ((ObjectNode) model.get("vocab")).remove(token);
                                }));
        assertThat(found).anyMatch(line -> line.matches("token \\d+ is .* and missing in .*"));
    }

    /** What Go's template writes of a message stands between the same letters as Jinja's does. */
    @Test
    void ollamaFolder_hasTheTemplateInGoAndTheStops() throws IOException {
        Path model = Files.createDirectory(folder.resolve("model"));
        TinyLlama.copyTo(model);
        Files.writeString(model.resolve("chat_template.jinja"), TEMPLATE);
        Path out = folder.resolve("out");
        export(model, List.of()).ollama(GgufFormat.F16, out, false);
        assertThat(out.toFile().list()).containsExactlyInAnyOrder("Modelfile", "model.gguf");
        assertThat(Files.readString(out.resolve("Modelfile")))
                .isEqualTo(
                        """
                        FROM ./model.gguf
                        TEMPLATE \"""{{ range .Messages }}<|{{ .Role }}|>{{ .Content }}</s>
                        {{ end }}<|assistant|>\"""
                        PARAMETER stop "</s>"
                        """);
    }

    /** Of a chat without a system message SmolLM2's kind writes one of its own. */
    @Test
    void defaultSystemMessage_isTheModelfiles() throws IOException {
        Path model = Files.createDirectory(folder.resolve("model"));
        TinyLlama.copyTo(model);
        Files.writeString(
                model.resolve("chat_template.jinja"),
                "{% if messages[0].role != 'system' %}<|system|>Be kind.</s>{% endif %}"
                        + TEMPLATE.replace("{{ bos_token }}", "").replace("\n", ""));
        try (Tokenizer tokenizer = Tokenizer.load(model)) {
            Modelfile found = Modelfile.of(tokenizer, Set.of(2));
            assertThat(found.system()).isEqualTo("Be kind.");
            assertThat(found.template()).startsWith("{{ range .Messages }}<|{{ .Role }}|>");
        }
        Files.writeString(
                model.resolve("chat_template.jinja"),
                "{% for m in messages %}[INST] {{ m.content }} [/INST]{% endfor %}");
        try (Tokenizer tokenizer = Tokenizer.load(model)) {
            Modelfile found = Modelfile.of(tokenizer, Set.of(2));
            assertThat(found.template()).isNull();
            assertThat(found.text("m.gguf")).contains("# no TEMPLATE: its chat template");
        }
    }

    /** GGUF has no form for a normalizer, which only texts show that it changes. */
    @Test
    void chatWithOtherTokens_stopsTheExportUnlessForced() throws IOException {
        Path model = Files.createDirectory(folder.resolve("model"));
        TinyLlama.copyTo(model);
        edit(
                model.resolve("tokenizer.json"),
                json -> json.putObject("normalizer").put("type", "NFC"));
        Path out = folder.resolve("out.gguf");
        List<List<Map<String, Object>>> chats =
                List.of(List.of(Map.of("role", "user", "content", "cafe\u0301")));
        ModelExport export = export(model, chats);
        assertThatThrownBy(() -> export.gguf(GgufFormat.F32, out, false))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("is not written: a chat has other tokens, from token")
                .hasMessageContaining("--force")
                .hasMessageNotContaining("\n");
        assertThat(folder.toFile().list()).containsExactlyInAnyOrder("model");
        ModelExport.Result forced = export.gguf(GgufFormat.F32, out, true);
        assertThat(forced.file()).isEqualTo(folder.resolve("out-unchecked.gguf")).exists();
        assertThat(forced.differences()).hasSize(1);
        assertThat(out).doesNotExist();
    }
}
