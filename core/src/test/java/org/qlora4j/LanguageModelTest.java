package org.qlora4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.StopReason;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.testing.TinyLlama;
import tools.jackson.databind.JsonNode;

/** Against the texts that transformers and PEFT generate with the same files, in f32. */
class LanguageModelTest {
    private static final QuantConfig F32 =
            new QuantConfig(false, QuantType.NF4, false, 64, ComputeDtype.FLOAT32);
    private static final GenerationConfig MAX_24 = GenerationConfig.DEFAULT.withMaxNewTokens(24);
    private static final Path ADAPTER = TinyLlama.folder().resolve("adapter");

    @TempDir Path temporary;

    @Test
    void chats_areAnsweredAsByTransformers() {
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder(), F32)) {
            assertChats(model, "chats");
        }
    }

    @Test
    void adapter_changesTheAnswersAsByPeft() {
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder(), F32)) {
            assertThat(model.withAdapter(ADAPTER)).isSameAs(model);
            assertChats(model, "adapter_chats");
            model.withAdapter(ADAPTER); // in place of itself
            assertChats(model, "adapter_chats");
        }
    }

    private static void assertChats(LanguageModel model, String key) {
        JsonNode chats = TinyLlama.expected().get(key);
        assertThat(chats.size()).isEqualTo(2);
        for (JsonNode chat : chats) {
            List<Map<String, String>> messages = new ArrayList<>();
            for (JsonNode m : chat.get("messages")) {
                messages.add(
                        Map.of(
                                "role", m.get("role").asString(),
                                "content", m.get("content").asString()));
            }
            StringBuilder streamed = new StringBuilder();
            Answer answer = model.generate(messages, MAX_24, streamed::append);
            assertThat(answer.text()).isEqualTo(chat.get("text").asString());
            assertThat(streamed.toString()).isEqualTo(answer.text());
            assertThat(answer.promptTokens()).isEqualTo(chat.get("ids").size());
            assertThat(answer.newTokens()).isEqualTo(chat.get("new_ids").size());
        }
    }

    @Test
    void withoutAdapter_isTheBaseModelAgain() {
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder(), F32)) {
            long base = NativeMemory.liveBytes();
            assertThat(model.withAdapter(ADAPTER).withoutAdapter()).isSameAs(model);
            assertThat(NativeMemory.liveBytes()).isEqualTo(base);
            assertChats(model, "chats");
            model.withoutAdapter();
            assertChats(model, "chats");
        }
    }

    /** The answer ends before the text; so does each of a file. */
    @Test
    void stopString_endsTheAnswer() {
        JsonNode raw = TinyLlama.expected().get("raw").get(0);
        String whole = raw.get("text").asString();
        String stop = whole.substring(3, 5);
        String expected = whole.substring(0, whole.indexOf(stop));
        GenerationConfig config = MAX_24.toBuilder().stopStrings(List.of("never", stop)).build();
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder(), F32)) {
            String prompt = raw.get("prompt").asString();
            StringBuilder streamed = new StringBuilder();
            Answer answer = model.generate(prompt, config, streamed::append);
            assertThat(answer.text()).isEqualTo(streamed.toString()).isEqualTo(expected);
            assertThat(answer.stopReason()).isEqualTo(StopReason.STOP_STRING);
            assertThat(model.generateAll(List.of(new Prompt.Raw(prompt)), config, 2, (i, a) -> {}))
                    .allMatch(a -> a.text().equals(expected))
                    .allMatch(a -> a.stopReason() == StopReason.STOP_STRING);
        }
    }

    @Test
    void rawPrompts_areContinuedAsByTransformers() {
        JsonNode prompts = TinyLlama.expected().get("raw");
        assertThat(prompts.size()).isEqualTo(2);
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder(), F32)) {
            for (JsonNode raw : prompts) {
                Answer answer = model.generate(raw.get("prompt").asString(), MAX_24, text -> {});
                assertThat(answer.text()).isEqualTo(raw.get("text").asString());
                assertThat(answer.promptTokens()).isEqualTo(raw.get("ids").size());
                assertThat(answer.stopReason()).isEqualTo(StopReason.END_OF_TEXT);
            }
        }
    }

    @Test
    void defaults_areThePapers() {
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder())) {
            assertThat(model.model().linears())
                    .allSatisfy(linear ->
                            assertThat(linear.weight())
                                    .isInstanceOf(org.qlora4j.autograd.Weight.Quantized.class));
            assertThat(model.model().compute()).isIn(DType.BF16, DType.F32);
            assertThat(model.chat("Hi")).isNotEmpty();
        }
    }

    @Test
    void close_freesAllMemory() {
        long before = NativeMemory.liveBytes();
        LanguageModel model = LanguageModel.load(TinyLlama.folder()).withAdapter(ADAPTER);
        model.chat("Hi");
        assertThat(NativeMemory.liveBytes()).isGreaterThan(before);
        model.close();
        model.close();
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
        assertThatThrownBy(() -> model.chat("Hi"))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("was closed");
    }

    @Test
    void manyThreads_getTheirOwnAnswers() throws InterruptedException {
        JsonNode raw = TinyLlama.expected().get("raw");
        AtomicReference<Throwable> failure = new AtomicReference<>();
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder(), F32)) {
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                JsonNode mine = raw.get(i % 2);
                threads.add(
                        Thread.ofVirtual()
                                .start(() -> {
                                    try {
                                        Answer answer =
                                                model.generate(
                                                        mine.get("prompt").asString(),
                                                        MAX_24,
                                                        text -> {});
                                        assertThat(answer.text())
                                                .isEqualTo(mine.get("text").asString());
                                    } catch (Throwable t) {
                                        failure.set(t);
                                    }
                                }));
            }
            for (Thread thread : threads) {
                thread.join();
            }
        }
        assertThat(failure.get()).isNull();
    }

    @Test
    void receiverThatThrows_endsTheAnswerAndLeavesTheModelUsable() {
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder(), F32)) {
            assertThatThrownBy(() ->
                            model.generate(
                                    "Once upon",
                                    MAX_24,
                                    text -> {
                                        throw new IllegalArgumentException("enough");
                                    }))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("enough");
            assertThat(model.generate("Once upon", MAX_24, text -> {}).newTokens()).isEqualTo(14);
        }
    }

    @Test
    void receiverThatUsesTheModel_isADefect() {
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder(), F32)) {
            assertThatThrownBy(() -> model.generate("Once", MAX_24, text -> model.close()))
                    .hasMessage("cannot be closed while the model generates; wait for the answer");
            assertThatThrownBy(() -> model.generate("Once", MAX_24, text -> model.chat(text)))
                    .hasMessage("cannot generate while the model generates; wait for the answer");
            assertThat(Engine.<String>call(() -> model.chat("Hi"))).isNotEmpty();
        }
    }

    @Test
    void chatWithoutTemplate_saysWhatToDo() {
        Path folder = TinyLlama.copyTo(temporary, "chat_template.jinja");
        try (LanguageModel model = LanguageModel.load(folder, F32)) {
            assertThat(model.hasChatTemplate()).isFalse();
            assertThatThrownBy(() -> model.chat("Hi"))
                    .isInstanceOf(ConfigException.class)
                    .hasMessage(
                            "%s has no chat template; give a prompt that is continued as it stands"
                                    + " (raw)",
                            folder);
        }
    }

    @Test
    void chatTheTemplateRefuses_saysWhy() {
        List<Map<String, String>> messages =
                List.of(
                        Map.of("role", "user", "content", "a"),
                        Map.of("role", "system", "content", "b"));
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder(), F32)) {
            assertThatThrownBy(() -> model.generate(messages, MAX_24, text -> {}))
                    .isInstanceOf(FormatException.class)
                    .hasMessageContaining("chat_template.jinja:1:")
                    .hasMessageContaining("system must come first");
        }
    }

    @Test
    void missingModel_isNamed() {
        Path missing = temporary.resolve("no-model");
        assertThatThrownBy(() -> LanguageModel.load(missing))
                .isInstanceOf(FormatException.class)
                .hasMessage(
                        "%s does not exist; check the path, or name a model of the hub as org/name",
                        missing);
    }

    @Test
    void missingTokenizer_isNamedBeforeWeightsAreRead() {
        Path folder = TinyLlama.copyTo(temporary, "tokenizer.json", "model.safetensors");
        assertThatThrownBy(() -> LanguageModel.load(folder))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(folder.resolve("tokenizer.json") + " is missing");
    }

    @Test
    void damagedModel_leavesNoMemoryBehind() throws IOException {
        Path folder = TinyLlama.copyTo(temporary, "model.safetensors");
        Files.write(folder.resolve("model.safetensors"), new byte[20]);
        long before = NativeMemory.liveBytes();
        assertThatThrownBy(() -> LanguageModel.load(folder))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("model.safetensors");
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }

    @Test
    void adapterThatCannotBeRead_leavesTheModelAsItWas() throws IOException {
        Path half = Files.createDirectory(temporary.resolve("half"));
        Files.copy(ADAPTER.resolve("adapter_config.json"), half.resolve("adapter_config.json"));
        Path run = Files.createDirectory(temporary.resolve("run"));
        Files.writeString(run.resolve("config.yaml"), "version: 1\n");
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder(), F32)) {
            assertAdapterRejected(model, temporary.resolve("no"), "is no folder");
            assertAdapterRejected(model, temporary, "adapter_config.json");
            assertAdapterRejected(model, half, "adapter_model.safetensors is missing");
            assertAdapterRejected(model, run, "saved no whole checkpoint");
            assertChats(model, "chats");
            model.withAdapter(ADAPTER);
            assertAdapterRejected(model, half, "adapter_model.safetensors is missing");
            assertChats(model, "adapter_chats");
            Path broken = temporary.resolve("broken");
            copy(ADAPTER, broken);
            Files.writeString(broken.resolve("chat_template.jinja"), "{% for %}");
            assertAdapterRejected(model, broken, "chat_template.jinja");
            assertChats(model, "adapter_chats");
            model.withoutAdapter();
            assertAdapterRejected(model, broken, "chat_template.jinja");
            assertChats(model, "chats");
        }
    }

    private static void copy(Path from, Path to) throws IOException {
        Files.createDirectory(to);
        try (var files = Files.list(from)) {
            for (Path file : files.toList()) {
                Files.copy(file, to.resolve(String.valueOf(file.getFileName())));
            }
        }
    }

    /** What no caller can mean is told by the parameter's name. */
    @Test
    @SuppressWarnings("NullAway") // on purpose
    void absurdArguments_areToldByName() {
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder(), F32)) {
            GenerationConfig config = GenerationConfig.builder().maxNewTokens(2).build();
            Map<String, ThrowingCallable> calls = new LinkedHashMap<>();
            calls.put("path", () -> LanguageModel.load(null));
            calls.put("quantization", () -> LanguageModel.load(TinyLlama.folder(), null));
            calls.put("folder", () -> model.withAdapter(null));
            calls.put("userMessage", () -> model.chat(null));
            calls.put("rawPrompt", () -> model.generate((String) null, config, text -> {}));
            calls.put("config", () -> model.generate("a", null, text -> {}));
            calls.put("onText", () -> model.generate("a", config, null));
            calls.put("prompts", () -> model.generateAll(null, config, 1, (i, a) -> {}));
            calls.put(
                    "a prompt",
                    () ->
                            model.generateAll(
                                    Collections.singletonList(null), config, 1, (i, a) -> {}));
            calls.put("ids", () -> new Prompt.Ids(null));
            calls.put("an id", () -> new Prompt.Ids(Collections.singletonList(null)));
            calls.put("texts", () -> model.logProbabilities(null));
            calls.put("a text", () -> model.logLikelihoods(Collections.singletonList(null), 1));
            calls.put("suite", () -> model.evaluate(null, 1, 1, null, done -> {}));
            calls.forEach((name, call) ->
                    assertThatThrownBy(call)
                            .isInstanceOf(NullPointerException.class)
                            .hasMessage(name + " must not be null"));
            List<Prompt> prompts = List.of(new Prompt.Raw("a"));
            assertThatThrownBy(() -> model.generateAll(prompts, config, 0, (i, a) -> {}))
                    .isInstanceOf(ConfigException.class)
                    .hasMessage("batch must be at least 1, got 0");
            assertThatThrownBy(() ->
                            model.generateAll(
                                    List.of(new Prompt.Ids(List.of(1, 99_999))),
                                    config,
                                    1,
                                    (i, a) -> {}))
                    .isInstanceOf(FormatException.class)
                    .hasMessageContaining("token id 99999, the model has ids 0 to 159");
        }
    }

    @Test
    void moreAnswersAtOnceThanThereCanBe_areThoseThereAre() {
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder(), F32)) {
            assertThat(
                            model.generateAll(
                                    List.of(new Prompt.Raw("the"), new Prompt.Raw("a")),
                                    GenerationConfig.DEFAULT.withMaxNewTokens(2),
                                    Integer.MAX_VALUE,
                                    (index, answer) -> {}))
                    .hasSize(2);
        }
    }

    private static void assertAdapterRejected(LanguageModel model, Path folder, String part) {
        assertThatThrownBy(() -> model.withAdapter(folder))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(part);
    }
}
