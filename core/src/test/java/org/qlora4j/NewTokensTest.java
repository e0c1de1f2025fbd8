package org.qlora4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.export.AdapterMerge;
import org.qlora4j.export.AdapterMix;
import org.qlora4j.export.MergeTarget;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.family.Models;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;
import org.qlora4j.testing.TinyLlama;
import org.qlora4j.tokenize.NewTokens;
import org.qlora4j.tokenize.Tokenizer;
import tools.jackson.databind.JsonNode;

/** Tokens added to tokenizer and tables, against transformers and PEFT. */
class NewTokensTest {
    private static final QuantConfig NOT_QUANTIZED =
            new QuantConfig(
                    false,
                    QuantConfig.DEFAULT.type(),
                    false,
                    QuantConfig.DEFAULT.blockSize(),
                    org.qlora4j.quant.ComputeDtype.FLOAT32);

    private static Path adapter;
    private static JsonNode expected;
    private static List<String> tokens;

    @TempDir Path folder;

    @BeforeAll
    static void read() throws URISyntaxException {
        var config = NewTokensTest.class.getResource("lora/new-tokens/adapter_config.json");
        adapter = Path.of(Objects.requireNonNull(config).toURI()).resolveSibling(".").normalize();
        expected = Golden.json(adapter.resolve("expected.json"));
        tokens = expected.get("new_tokens").valueStream().map(JsonNode::asString).toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {"added", "written", "of transformers"})
    void texts_becomeTheIdsOfTransformers(String way) {
        if (way.equals("written")) {
            NewTokens.write(TinyLlama.folder(), tokens, folder, true);
        }
        try (Tokenizer tokenizer =
                switch (way) {
                    case "added" -> Tokenizer.load(TinyLlama.folder(), tokens);
                    case "written" -> Tokenizer.load(folder);
                    default -> Tokenizer.load(adapter);
                }) {
            assertThat(tokenizer.vocabSize()).isEqualTo(expected.get("vocabulary").asInt());
            assertThat(tokenizer.idLimit()).isEqualTo(expected.get("vocabulary").asInt());
            for (JsonNode text : expected.get("texts")) {
                int[] ids = tokenizer.encode(text.get("text").asString());
                assertThat(ids).isEqualTo(TinyLlama.ints(text.get("ids")));
                assertThat(tokenizer.decode(ids, true)).isEqualTo(text.get("decoded").asString());
            }
        }
    }

    /** The merged model has the rows, the tokenizer and the tokens of the adapter. */
    @Test
    void mergedModel_computesAsPeftAndBringsTheTokenizer() {
        Path out = folder.resolve("merged");
        new AdapterMerge(
                        ModelPlace.of(TinyLlama.folder()),
                        AdapterMix.of(adapter),
                        null,
                        NOT_QUANTIZED,
                        null)
                .write(MergeTarget.ORIGINAL, out);
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(out, NOT_QUANTIZED, DType.F32);
                Tokenizer tokenizer = Tokenizer.load(out)) {
            assertThat(model.vocabularySize()).isEqualTo(expected.get("vocabulary").asInt());
            close("merged", lastLogits(model), expected.get("logits"));
            for (JsonNode text : expected.get("texts")) {
                int[] ids = tokenizer.encode(text.get("text").asString());
                assertThat(ids).isEqualTo(TinyLlama.ints(text.get("ids")));
            }
        }
    }

    @Test
    void tokenThatIsThere_isRefused() {
        assertThatThrownBy(() -> Tokenizer.load(TinyLlama.folder(), List.of("<a>", "</s>")))
                .isInstanceOf(ConfigException.class)
                .hasMessage(
                        "model.new_tokens names </s>, which %s has already, with id 2; leave it out",
                        TinyLlama.folder().resolve("tokenizer.json"));
    }

    @Test
    void tables_growByTheMeanOfTheirRowsAndComputeAsTransformersAndPeft() {
        long before = NativeMemory.liveBytes();
        int rows = expected.get("vocabulary").asInt();
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(TinyLlama.folder(), NOT_QUANTIZED, DType.F32)) {
            float[] own = model.parameters().getFirst().value().toFloats();
            model.resizeVocabulary(rows);
            assertThat(model.vocabularySize()).isEqualTo(rows);
            Tensor embedding = model.parameters().getFirst().value();
            Tensor head = model.head().weight().dense(DType.F32);
            for (int row = rows - tokens.size(); row < rows; row++) {
                close("embedding", embedding.select(0, row), expected.at("/means/embed_tokens"));
                close("head", head.select(0, row), expected.at("/means/lm_head"));
            }
            close("start", lastLogits(model), expected.get("start_logits"));
            try (LoraAdapter trained =
                    PeftAdapter.load(adapter, model.linears(), model.parameters(), DType.F32)) {
                assertThat(PeftAdapter.tableRows(adapter)).hasValue(rows);
                close("trained", lastLogits(model), expected.get("logits"));
            }
            model.resizeVocabulary(rows - tokens.size());
            assertThat(model.parameters().getFirst().value().toFloats()).isEqualTo(own);
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }

    private static void close(String what, Tensor actual, JsonNode values) {
        float[] floats = new float[values.size()];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = values.get(i).floatValue();
        }
        Close.assertClose(what, actual, Tensors.of(floats, floats.length), 1e-4, 0);
    }

    private static Tensor lastLogits(CausalModel model) {
        int[] ids = TinyLlama.ints(expected.get("ids"));
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.inference();
                BatchContext seen = BatchContext.of(1, ids.length)) {
            long[] wide = Arrays.stream(ids).asLongStream().toArray();
            Tensor input = Tensors.of(wide, 1, ids.length);
            Var hidden = model.hidden(tape, input, seen, false);
            Tensor last = hidden.value().narrow(1, ids.length - 1, 1);
            return scope.promote(model.logits(last).view(model.vocabularySize()).copy());
        }
    }

    /** One model: without an adapter, with PEFT's, with one of the old vocabulary, and again. */
    @Test
    void adapterOfPeft_answersWithItsOwnTokensAndLeavesNoneBehind() throws Exception {
        long before = NativeMemory.liveBytes();
        String prompt = expected.get("prompt").asString();
        GenerationConfig six = GenerationConfig.DEFAULT.greedy().withMaxNewTokens(6);
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder(), NOT_QUANTIZED)) {
            String alone = model.generate(prompt, six, piece -> {}).text();
            for (int round = 0; round < 2; round++) {
                String text = model.withAdapter(adapter).generate(prompt, six, piece -> {}).text();
                assertThat(text).isEqualTo(expected.get("answer").asString());
                Path broken = Files.createDirectories(folder.resolve("broken" + round));
                Files.copy(
                        adapter.resolve("adapter_config.json"),
                        broken.resolve("adapter_config.json"));
                assertThatThrownBy(() -> model.withAdapter(broken))
                        .isInstanceOf(FormatException.class);
                assertThat(model.generate(prompt, six, piece -> {}).text()).isEqualTo(text);
                model.withAdapter(TinyLlama.folder().resolve("adapter"));
                String old = model.generate(prompt, six, piece -> {}).text();
                assertThat(old).doesNotContain("</call>");
            }
            try (LanguageModel fresh = LanguageModel.load(TinyLlama.folder(), NOT_QUANTIZED)) {
                assertThat(fresh.generate(prompt, six, piece -> {}).text()).isEqualTo(alone);
            }
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }
}
