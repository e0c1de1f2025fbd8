package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.autograd.CrossEntropy;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Weight;
import org.qlora4j.checkpoint.StoredTensor;
import org.qlora4j.checkpoint.StoredType;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.export.ModelFolder;
import org.qlora4j.lora.LinearLayer;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Golden;
import org.qlora4j.testing.Strangers;
import org.qlora4j.testing.TinyLlama;
import tools.jackson.databind.JsonNode;

/** Checkpoints that are odd but sound give the loss of transformers; what was odd is said once. */
class StrangeCheckpointTest {
    private static final String EMBEDDINGS = "model.embed_tokens.weight";
    private static final String HEAD = "lm_head.weight";

    @TempDir Path folder;

    static double expected(String name) {
        return Strangers.expected().get("losses").get(name).asDouble();
    }

    private static double loss(Path model) {
        return loss(model, FamilyGoldenTest.NOT_QUANTIZED);
    }

    private static double loss(Path path, QuantConfig quantization) {
        long before = NativeMemory.liveBytes();
        double loss;
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(path, quantization, DType.F32)) {
            loss = loss(model);
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
        return loss;
    }

    static double loss(CausalModel model) {
        int[] ids = TinyLlama.ints(Strangers.expected().get("ids"));
        long[] input = Arrays.stream(ids).asLongStream().toArray();
        int[] labels = FamilyGoldenTest.shifted(input, 1, ids.length);
        try (BatchContext seen = BatchContext.of(1, ids.length);
                Tape tape = Tape.inference()) {
            var hidden = model.hidden(tape, Tensors.of(input, 1, ids.length), seen, false);
            return CrossEntropy.sum(tape, hidden, model.head(), labels).value().item()
                    / (ids.length - 1);
        }
    }

    private static void assertLoss(double actual, String name) {
        assertThat(actual).as(name).isCloseTo(expected(name), Offset.offset(1e-5));
    }

    @Test
    void tiedFlagBesideAnotherHead_keepsBothTablesAndSaysSo() throws IOException {
        Strangers.base(folder, "{\"tie_word_embeddings\": true}");
        String said =
                Strangers.said(() -> {
                    assertLoss(loss(folder), "tied-flag-own-head");
                    assertLoss(loss(folder), "tied-flag-own-head");
                });
        assertThat(said)
                .containsOnlyOnce("tie_word_embeddings is true, but lm_head.weight differs from");
        assertThat(Families.shape(folder).hasOwnHead()).isTrue();
        Path saved = Files.createDirectory(folder.resolve("saved"));
        try (CausalModel model = Models.load(folder, FamilyGoldenTest.NOT_QUANTIZED, DType.F32)) {
            ModelFolder.write(model, folder, saved);
        }
        assertLoss(loss(saved), "tied-flag-own-head");
        assertThat(Golden.json(saved.resolve("config.json")).get("tie_word_embeddings").asBoolean())
                .isFalse();
    }

    @Test
    void tiedFlagBesideTheSameTable_isTied() {
        Strangers.base(
                folder,
                "{\"tie_word_embeddings\": true}",
                tensors -> put(tensors, HEAD, at(tensors, EMBEDDINGS)));
        String said = Strangers.said(() -> assertLoss(loss(folder), "tied-flag-same-head"));
        assertThat(said).isEmpty();
        assertThat(Families.shape(folder).hasOwnHead()).isFalse();
    }

    @Test
    void noHeadThoughTheFlagSaysOne_takesTheEmbeddingsAndSaysSo() {
        Strangers.base(folder, "{}", tensors -> without(tensors, HEAD));
        String said = Strangers.said(() -> assertLoss(loss(folder), "tied"));
        assertThat(said).contains("the checkpoint has no head; the embeddings");
        assertThat(Families.shape(folder).hasOwnHead()).isFalse();
    }

    /** Without the flag a family's default holds, which the tensors may contradict as well. */
    @Test
    void noFlag_meansTheFamilysDefaultAndSaysWhatContradictsIt() {
        Strangers.base(
                folder,
                """
                {"tie_word_embeddings": null, "model_type": "gemma", "hidden_act": "gelu_pytorch_tanh"}
                """);
        String said = Strangers.said(() -> assertLoss(loss(folder), "gemma-no-flag-own-head"));
        assertThat(said)
                .contains("tie_word_embeddings is not set, which means true for this family, but");
        assertThat(Families.shape(folder).hasOwnHead()).isTrue();
    }

    @Test
    void noFlagAndNoHead_saysThatTheEmbeddingsServe() {
        Strangers.base(
                folder, "{\"tie_word_embeddings\": null}", tensors -> without(tensors, HEAD));
        String said = Strangers.said(() -> assertLoss(loss(folder), "tied"));
        assertThat(said)
                .contains("not set, which means false for this family, but the checkpoint has no");
    }

    @Test
    void anyValueOfAKeyNobodyNeeds_isRead() {
        Strangers.base(folder, "{\"initializer_range\": \"none\"}");
        assertLoss(loss(folder), "base");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{'rope_parameters': {'rope_theta': 0}} | rope_theta must be above 0, got 0",
                "{'rms_norm_eps': 1BIG} | rms_norm_eps must be a number from 0 that fits 32 bits, got 1000",
                "{'rope_scaling': {'type': 'yarn', 'factor': 0}} | factor must be above 0, got 0",
                "{'rope_scaling': {'type': 'yarn', 'factor': 2, 'beta_fast': 0}} | beta_fast must be above 0",
                "{'rope_parameters': {'full_attention': {}}} | rope_parameters has angles for full_attention alone",
                "{'head_dim': 2, 'rope_scaling': {'type': 'dynamic', 'factor': 2}} | needs 4 turned places of a head",
            })
    void anglesThatComeOutAsNoNumbers_areRefused(String keys, String message) {
        Strangers.base(folder, keys.replace('\'', '"').replace("BIG", "0".repeat(400)));
        assertThatThrownBy(() -> Families.shape(folder))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(message);
    }

    @Test
    void onlyTheHeadOfATiedModel_isItsTable() {
        Strangers.base(
                folder,
                "{\"tie_word_embeddings\": true}",
                tensors -> without(put(tensors, HEAD, at(tensors, EMBEDDINGS)), EMBEDDINGS));
        assertLoss(loss(folder), "tied-only-lm_head");
    }

    @Test
    void onlyTheHeadOfAModelWithTwoTables_isRefused() {
        Strangers.base(folder, "{}", tensors -> without(tensors, EMBEDDINGS));
        assertThatThrownBy(() -> loss(folder))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("has no tensor model.embed_tokens.weight");
    }

    @Test
    void keysWithoutTheirFirstPart_areFound() {
        Strangers.base(
                folder,
                "{}",
                tensors -> {
                    Map<String, StoredTensor> bare = new LinkedHashMap<>();
                    tensors.forEach((name, t) -> bare.put(name.replaceFirst("^model\\.", ""), t));
                    return bare;
                });
        assertThat(Strangers.said(() -> assertLoss(loss(folder), "no-prefix"))).isEmpty();
    }

    /** Shards, a transposed tensor, two in one storage, parameters; an index with one too many. */
    @Test
    void checkpointOfTorchSave_isRead() {
        assertLoss(loss(Strangers.folder("torch")), "torch");
        assertThat(Families.shape(Strangers.folder("torch")).layers()).isEqualTo(1);
    }

    @ParameterizedTest
    @CsvSource({"0", "1", "2", "3", "4", "5"})
    void ropeScaling_replacesRopeParametersUnlessEmpty(int number) {
        JsonNode rope = Strangers.expected().get("losses").get("rope").get(number);
        Strangers.base(folder, rope.get("keys").toString());
        assertThat(loss(folder)).isCloseTo(rope.get("loss").asDouble(), Offset.offset(1e-5));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"partial_rotary_factor\": 0.5}",
                "{\"rope_parameters\": {\"rope_type\": \"default\", \"partial_rotary_factor\": 0.25}}"
            })
    void anglesForAPartOfAHead_areRefused(String keys) {
        Strangers.base(folder, keys);
        assertThatThrownBy(() -> Families.shape(folder))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("partial_rotary_factor must be 1, got 0.");
    }

    @Test
    void unusedTensors_areSaidInOneLine() {
        Strangers.base(
                folder,
                "{}",
                tensors -> {
                    for (int i = 0; i < 2; i++) {
                        for (String part : List.of("q", "k", "v", "o")) {
                            String path = "model.layers." + i + ".self_attn." + part + "_proj";
                            long rows = at(tensors, path + ".weight").shape()[0];
                            float[] ones = new float[(int) rows];
                            Arrays.fill(ones, 1);
                            put(tensors, path + ".bias", of(ones));
                        }
                    }
                    return put(
                            tensors,
                            "model.layers.0.self_attn.rotary_emb.inv_freq",
                            of(new float[8]));
                });
        String said =
                Strangers.said(() -> {
                    assertLoss(loss(folder), "unused-biases");
                    loss(folder);
                });
        assertThat(said)
                .containsOnlyOnce("8 tensors of the checkpoint are not used")
                .contains("model.layers.0.self_attn.k_proj.bias")
                .contains("and 5 more")
                .hasLineCount(1);
    }

    /** Layers that bitsandbytes left in 16 bits stay so, also when this library would quantize. */
    @Test
    void plainLayersOfACheckpointIn4Bits_stayAsTheyAre() throws IOException {
        Path strange = Strangers.folder("bnb-skip");
        assertLoss(loss(strange), "bnb-skip");
        assertLoss(loss(strange, QuantConfig.DEFAULT), "bnb-skip");
        Path saved = Files.createDirectory(folder.resolve("saved"));
        try (CausalModel model = Models.load(strange, QuantConfig.DEFAULT, DType.F32)) {
            assertThat(model.linears())
                    .filteredOn(linear -> linear.weight() instanceof Weight.Dense)
                    .extracting(LinearLayer::path)
                    .hasSize(8)
                    .contains("model.layers.2.self_attn.q_proj", "model.layers.1.mlp.up_proj");
            ModelFolder.write(model, strange, saved);
        }
        assertLoss(loss(saved, QuantConfig.DEFAULT), "bnb-skip");
        JsonNode skipped =
                Golden.json(saved.resolve("config.json"))
                        .get("quantization_config")
                        .get("llm_int8_skip_modules");
        assertThat(skipped).hasSize(9);
        assertThat(skipped.get(0).asString()).isEqualTo(HEAD.replace(".weight", ""));
    }

    @Test
    void levelsOtherThanThoseOfTheType_areRefused() {
        Strangers.changed(
                "bnb-skip",
                folder,
                "{}",
                tensors -> {
                    String name = "model.layers.0.mlp.up_proj.weight.quant_map";
                    float[] levels = QuantType.NF4.levels();
                    levels[3] = -0.4f;
                    return put(tensors, name, of(levels));
                });
        assertThatThrownBy(() -> loss(folder))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(
                        "model.layers.0.mlp.up_proj.weight.quant_map has level -0.4 for code 3");
    }

    @Test
    void parameterCount_countsBiases() {
        Strangers.base(folder, "{\"attention_bias\": true, \"mlp_bias\": true}");
        long plain = Families.shape(Strangers.folder("base")).parameterCount();
        // q, o: 64, k, v: 32; gate, up: 96, down: 64; two layers
        assertThat(Families.shape(folder).parameterCount())
                .isEqualTo(plain + 2 * (2 * 64 + 2 * 32 + 2 * 96 + 64));
    }

    @Test
    void allWeightsOfACheckpointIn4Bits_cannotLearn() {
        Path strange = Strangers.folder("bnb-skip");
        for (Runnable attempt :
                List.<Runnable>of(
                        () -> Models.requireTrainable(ModelPlace.of(strange)),
                        () ->
                                Models.load(
                                                strange,
                                                FamilyGoldenTest.NOT_QUANTIZED,
                                                DType.F32,
                                                true)
                                        .close())) {
            assertThatThrownBy(attempt::run)
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining("train.full_finetune is true")
                    .hasMessageContaining("in 4 bits");
        }
    }

    @Test
    void ggufInF32_keepsItsPrecision() {
        assertLoss(loss(Strangers.folder("gguf").resolve("model.gguf")), "gguf");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"quantization_config\": {\"quant_method\": \"gptq\", \"bits\": 4}}|quantized by gptq",
                "{\"quantization_config\": {\"quant_method\": \"awq\"}}|quantized by awq",
                "{\"quantization_config\": {\"quant_method\": \"fp8\"}}|quantized by fp8",
                "{\"quantization_config\": {\"quant_method\": \"compressed-tensors\"}}|quantized by compressed-tensors",
                "{\"compression_config\": {\"quant_method\": \"sparseml\"}}|quantized by sparseml",
                "{\"quantization\": {\"bits\": 4, \"group_size\": 64}}|quantized by MLX"
            })
    void weightsOfOtherQuantizers_areRefusedByName(String keys, String reason) {
        Strangers.base(folder, keys);
        for (Runnable attempt :
                List.<Runnable>of(() -> loss(folder), () -> Families.shape(folder))) {
            assertThatThrownBy(attempt::run)
                    .isInstanceOf(FormatException.class)
                    .hasMessageContaining("config.json: ")
                    .hasMessageContaining(reason)
                    .hasMessageContaining("name the model that they were made from");
        }
    }

    private static StoredTensor at(Map<String, StoredTensor> tensors, String name) {
        return Objects.requireNonNull(tensors.get(name), name);
    }

    private static Map<String, StoredTensor> put(
            Map<String, StoredTensor> tensors, String name, StoredTensor tensor) {
        tensors.put(name, tensor);
        return tensors;
    }

    private static Map<String, StoredTensor> without(
            Map<String, StoredTensor> tensors, String name) {
        tensors.remove(name);
        return tensors;
    }

    private static StoredTensor of(float[] values) {
        return new StoredTensor(
                "",
                StoredType.F32,
                new long[] {values.length},
                MemorySegment.ofArray(values),
                Path.of("test"));
    }
}
