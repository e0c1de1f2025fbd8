package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The command on a tiny model, against what transformers and PEFT generate with it. */
class GenerateCommandTest {
    private static final Path MODEL = Path.of("../core/src/test/resources/tiny-llama");

    @TempDir Path temporary;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    @BeforeAll
    static void model_isThere() {
        assertThat(MODEL.resolve("expected.json")).isRegularFile();
    }

    @Test
    void rawPrompt_isContinued() {
        JsonNode expected = expected("raw", 0);
        assertThat(
                        generate(
                                "--raw",
                                "--no-quantize",
                                "--prompt",
                                expected.get("prompt").asString(),
                                "--max-new-tokens",
                                "5"))
                .isEqualTo(ExitCode.OK);
        String answer = out.toString().stripTrailing();
        assertThat(answer).isNotEmpty();
        assertThat(expected.get("text").asString()).startsWith(answer);
        assertThat(out.toString()).endsWith(System.lineSeparator());
        assertThat(err.toString()).isEmpty();
    }

    @Test
    void systemAndPrompt_goThroughTheTemplate() {
        JsonNode chat = expected("chats", 1);
        run(
                "--verbose",
                "generate",
                "--model",
                MODEL.toString(),
                "--system",
                chat.get("messages").get(0).get("content").asString(),
                "--prompt",
                chat.get("messages").get(1).get("content").asString(),
                "--max-new-tokens",
                "1");
        assertThat(err.toString())
                .containsPattern(
                        "(?m)^prompt: %d tokens in \\d+\\.\\d\\d s \\(\\d+/s\\), answer: 1 tokens in"
                                        .formatted(chat.get("ids").size())
                                + " .*, ended by (--max-new-tokens|the model)$");
    }

    @Test
    void standardInput_isThePromptWithoutItsLastLineEnd() {
        InputStream before = System.in;
        try {
            System.setIn(new ByteArrayInputStream("Once upon\n".getBytes(StandardCharsets.UTF_8)));
            generate("--raw", "--prompt", "-", "--max-new-tokens", "8");
        } finally {
            System.setIn(before);
        }
        String fromInput = out.toString();
        out.getBuffer().setLength(0);
        generate("--raw", "--prompt", "Once upon", "--max-new-tokens", "8");
        assertThat(out.toString()).isEqualTo(fromInput).isNotBlank();
    }

    @Test
    void adapter_changesTheAnswer() {
        generate("--prompt", "Hi", "--max-new-tokens", "8");
        String base = out.toString();
        out.getBuffer().setLength(0);
        String adapter = MODEL.resolve("adapter").toString();
        assertThat(generate("--adapter", adapter, "--prompt", "Hi", "--max-new-tokens", "8"))
                .isEqualTo(ExitCode.OK);
        assertThat(out.toString()).isNotBlank().isNotEqualTo(base);
    }

    @Test
    void seed_repeatsADrawnAnswer() {
        String first = drawn("1");
        assertThat(drawn("1")).isEqualTo(first);
        assertThat(drawn("2")).isNotEqualTo(first);
    }

    private String drawn(String seed) {
        out.getBuffer().setLength(0);
        generate("--prompt", "Hi", "--temperature", "2", "--top-p", "0.99", "--seed", seed);
        return out.toString();
    }

    @Test
    void text_isFlushedAsItComes() {
        List<String> flushed = new ArrayList<>();
        Writer recorder =
                new StringWriter() {
                    @Override
                    public void flush() {
                        flushed.add(toString());
                    }
                };
        Main.run(
                new String[] {
                    "generate",
                    "--model",
                    MODEL.toString(),
                    "--prompt",
                    "Hi",
                    "--max-new-tokens",
                    "12"
                },
                new PrintWriter(recorder),
                new PrintWriter(err));
        assertThat(flushed.stream().distinct().count()).isGreaterThan(8);
    }

    @Test
    void readerThatHasGone_isNoFailure() {
        Writer closed =
                new Writer() {
                    @Override
                    public void write(char[] text, int from, int length) throws IOException {
                        throw new IOException("Broken pipe");
                    }

                    @Override
                    public void flush() {}

                    @Override
                    public void close() {}
                };
        int code =
                Main.run(
                        new String[] {"generate", "--model", MODEL.toString(), "--prompt", "Hi"},
                        new PrintWriter(closed),
                        new PrintWriter(err));
        assertThat(code).isEqualTo(ExitCode.OK);
        assertThat(err.toString()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "--greedy --top-p 0.9, '--greedy takes the likeliest token each time, --top-p draws; use one"
                + " of them'",
        "--greedy --temperature 0.7, '--greedy takes the likeliest token each time, --temperature"
                + " draws; use one of them'",
        "--raw --system x, '--system needs the chat template that --raw leaves out; use one of"
                + " them'",
        "--seed 3, '--seed matters only where tokens are drawn; add --temperature or --top-p'",
        "--max-new-tokens 0, 'generation.max_new_tokens must be at least 1, got 0'",
        "--top-p 1.5, 'generation.top_p must be in [0, 1], got 1.5'",
        "--adapter no/adapter, 'no/adapter is no folder; name that of a PEFT adapter'",
    })
    void mistakeInFlags_isOneLine(String flags, String line) {
        List<String> arguments = new ArrayList<>(List.of("--prompt", "Hi"));
        arguments.addAll(Arrays.asList(flags.split(" ", -1)));
        assertMistake(generate(arguments.toArray(String[]::new)), line);
    }

    @Test
    void missingModel_isOneLine() {
        Path missing = temporary.resolve("none.gguf");
        assertMistake(
                run("generate", "--model", missing.toString(), "--prompt", "Hi"),
                missing
                        + " does not exist; check the path, or name a model of the hub as org/name");
    }

    @Test
    void adapterOfAnotherModel_isOneLine() throws IOException {
        // its config says another rank than its tensors have
        Path folder = Files.createDirectory(temporary.resolve("adapter"));
        Path adapter = MODEL.resolve("adapter");
        Files.copy(
                adapter.resolve("adapter_model.safetensors"),
                folder.resolve("adapter_model.safetensors"));
        String config = Files.readString(adapter.resolve("adapter_config.json"));
        Files.writeString(
                folder.resolve("adapter_config.json"), config.replace("\"r\": 2,", "\"r\": 3,"));
        int code = generate("--adapter", folder.toString(), "--prompt", "Hi");
        assertThat(code).isEqualTo(ExitCode.USER_ERROR);
        assertThat(err.toString().lines())
                .singleElement()
                .asString()
                .contains("adapter_model.safetensors", "has shape [2, ", "is this its base model?");
    }

    private void assertMistake(int code, String line) {
        assertThat(code).isEqualTo(ExitCode.USER_ERROR);
        assertThat(err.toString().lines()).containsExactly("qlora: " + line);
        assertThat(out.toString()).isEmpty();
    }

    private static List<JsonNode> beamTexts() throws IOException {
        Path file = Path.of("../core/src/test/resources/org/qlora4j/generate/beam_texts.json");
        return new JsonMapper().readTree(file).valueStream().toList();
    }

    /** What transformers' beams write (make_beam_reference.py). */
    @ParameterizedTest
    @MethodSource("beamTexts")
    void beams_writeTheTextOfTransformers(JsonNode c) {
        List<String> options = new ArrayList<>(List.of("--raw", "--no-quantize", "--exact-head"));
        options.addAll(List.of("--max-new-tokens", "12", "--prompt", c.get("prompt").asString()));
        options.addAll(List.of("--num-beams", c.get("num_beams").asString()));
        if (c.has("length_penalty")) {
            options.addAll(List.of("--length-penalty", c.get("length_penalty").asString()));
            options.addAll(List.of("--early-stopping", c.get("early_stopping").asString()));
        }
        assertThat(generate(options.toArray(String[]::new))).isEqualTo(ExitCode.OK);
        assertThat(out.toString().stripTrailing()).isEqualTo(c.get("text").asString());
        assertThat(err.toString()).isEmpty();
    }

    /** Settings of the checkpoint count where options say nothing else. */
    @Test
    void beamsOfTheCheckpoint_areTaken() throws IOException {
        JsonNode c = beamTexts().get(1);
        for (String name : List.of("config.json", "model.safetensors", "tokenizer.json")) {
            Files.copy(MODEL.resolve(name), temporary.resolve(name));
        }
        Files.writeString(
                temporary.resolve("generation_config.json"),
                """
                {"eos_token_id": 2, "num_beams": 4, "length_penalty": -2.0, "early_stopping": true}
                """);
        Path prompts = temporary.resolve("prompts.jsonl");
        Files.writeString(prompts, "{\"prompt\": \"Once upon\"}\n");
        Path answers = temporary.resolve("answers.jsonl");
        String[] arguments = {
            "generate",
            "--model",
            temporary.toString(),
            "--raw",
            "--no-quantize",
            "--exact-head",
            "--max-new-tokens",
            "12",
            "--prompts",
            prompts.toString(),
            "--out",
            answers.toString()
        };
        assertThat(run(arguments)).isEqualTo(ExitCode.OK);
        assertThat(new JsonMapper().readTree(answers).get("answer")).isEqualTo(c.get("text"));
        assertThat(err.toString())
                .startsWith(
                        "num_beams 4 of generation_config.json: a search with beams; --greedy follows one text");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--num-beams 3 --greedy | --greedy follows one text, --num-beams 3 several; use one of them",
                "--num-beams 3 --top-p 0.9 | beams keep the likeliest texts: with generation.num_beams set",
                "--num-beams 0 | generation.num_beams must be at least 1, got 0",
                "--early-stopping maybe | generation.early_stopping must be true, false or never, got maybe",
                "--num-beams 1 --length-penalty 2 | --length-penalty and --early-stopping matter only to a search",
            })
    void beamsThatCannotBe_areRefusedBeforeTheModel(String options, String message) {
        String[] all = ("generate --model nowhere --prompt x " + options).split(" ");
        assertThat(run(all)).isEqualTo(ExitCode.USER_ERROR);
        assertThat(err.toString()).contains(message);
    }

    private static JsonNode expected(String key, int index) {
        try {
            return new JsonMapper()
                    .readTree(Files.readString(MODEL.resolve("expected.json")))
                    .get(key)
                    .get(index);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private int generate(String... arguments) {
        List<String> all = new ArrayList<>(List.of("generate", "--model", MODEL.toString()));
        all.addAll(Arrays.asList(arguments));
        return run(all.toArray(String[]::new));
    }

    private int run(String... arguments) {
        return Main.run(arguments, new PrintWriter(out), new PrintWriter(err));
    }
}
