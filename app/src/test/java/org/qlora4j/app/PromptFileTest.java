package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code qlora generate --prompts} on the tiny model, beside what transformers answers. */
class PromptFileTest {
    private static final JsonMapper JSON = new JsonMapper();

    @TempDir Path folder;
    private TrainBed bed;
    private Path prompts;
    private Path out;

    @BeforeEach
    void layOut() {
        bed = new TrainBed(folder);
        prompts = folder.resolve("prompts.jsonl");
        out = folder.resolve("answers.jsonl");
    }

    /** Chats of other lengths stand between, so that rows end at other times. */
    @ParameterizedTest
    @ValueSource(ints = {1, 3, 32})
    void lines_keepOrderAndFieldsAndGetTransformersAnswers(int batch) {
        JsonNode expected = JSON.readTree(TrainBed.resource("tiny-llama/expected.json"));
        List<JsonNode> chats = new ArrayList<>();
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 6; i++) {
            JsonNode chat = expected.get("chats").get(i % 2);
            chats.add(chat);
            lines.append("{\"id\": %d, \"messages\": %s}%n".formatted(i, chat.get("messages")));
        }
        TrainBed.write(prompts, lines.toString());
        int code = generate("--no-quantize", "--batch", "" + batch, "--max-new-tokens", "24");
        assertThat(code).as("%s", bed.err()).isEqualTo(ExitCode.OK);
        List<JsonNode> answers = answers();
        assertThat(answers).hasSize(6);
        for (int i = 0; i < 6; i++) {
            JsonNode answer = answers.get(i);
            assertThat(answer.get("id").asInt()).isEqualTo(i);
            assertThat(answer.get("messages")).isEqualTo(chats.get(i).get("messages"));
            assertThat(answer.get("answer").asString())
                    .isEqualTo(chats.get(i).get("text").asString());
            assertThat(answer.get("new_tokens").asInt())
                    .isEqualTo(chats.get(i).get("new_ids").size());
            assertThat(answer.get("stop_reason").asString()).isEqualTo("max_new_tokens");
        }
        assertThat(bed.out()).startsWith(out + ": 6/6 answers, 144 tokens in ");
    }

    @Test
    void rawPrompts_areContinuedToTheirEnd() {
        JsonNode raw = JSON.readTree(TrainBed.resource("tiny-llama/expected.json")).get("raw");
        StringBuilder lines = new StringBuilder();
        raw.forEach(one -> lines.append("{\"prompt\": %s}%n".formatted(one.get("prompt"))));
        TrainBed.write(prompts, lines.toString());
        assertThat(generate("--no-quantize", "--raw")).as("%s", bed.err()).isEqualTo(ExitCode.OK);
        List<JsonNode> answers = answers();
        for (int i = 0; i < raw.size(); i++) {
            assertThat(answers.get(i).get("answer").asString())
                    .isEqualTo(raw.get(i).get("text").asString());
            assertThat(answers.get(i).get("stop_reason").asString()).isEqualTo("end_of_text");
        }
    }

    @Test
    void promptAndSystem_areAnsweredAsOneAtATime() {
        TrainBed.write(prompts, "{\"prompt\": \"Hi\"}\n{\"prompt\": \"Once upon\"}\n");
        generate("--system", "Be brief.", "--max-new-tokens", "8");
        List<JsonNode> answers = answers();
        List<String> alone = new ArrayList<>();
        for (String prompt : List.of("Hi", "Once upon")) {
            bed.command(
                    "generate",
                    "--model",
                    bed.model().toString(),
                    "--system",
                    "Be brief.",
                    "--prompt",
                    prompt,
                    "--max-new-tokens",
                    "8");
            alone.add(bed.out());
        }
        assertThat(answers)
                .extracting(a -> a.get("answer").asString() + System.lineSeparator())
                .isEqualTo(alone);
    }

    @Test
    void existingFile_isReplacedOnlyIfAsked() {
        TrainBed.write(prompts, "{\"prompt\": \"Hi\"}\n");
        TrainBed.write(out, "mine\n");
        bed.assertOneLine(generate("--max-new-tokens", "2"), "--out " + out + " exists");
        assertThat(out).hasContent("mine\n");
        assertThat(generate("--max-new-tokens", "2", "--overwrite")).isEqualTo(ExitCode.OK);
        assertThat(answers()).hasSize(1);
    }

    /**
     * The last prompt has more tokens than the model's context; others are answered by then, and
     * none of them is asked again.
     */
    @Test
    void failureOnTheWay_leavesTheOldFileAndTheNextRunGoesOn() {
        String begin = "{\"id\": 0, \"prompt\": \"Hi\"}\n{\"id\": 1, \"prompt\": \"Once\"}\n";
        TrainBed.write(prompts, begin + "{\"prompt\": \"%s\"}\n".formatted("word ".repeat(40)));
        TrainBed.write(out, "mine\n");
        String[] flags = {"--batch", "1", "--max-new-tokens", "2", "--overwrite"};
        bed.assertOneLine(generate(flags), "tokens");
        assertThat(out).hasContent("mine\n");
        Path partial = folder.resolve("answers.jsonl.partial");
        String kept = TrainBed.read(partial);
        assertThat(kept.lines()).hasSize(2);

        TrainBed.write(prompts, begin + "{\"id\": 2, \"prompt\": \"Upon\"}\n");
        assertThat(generate(flags)).isEqualTo(ExitCode.OK);
        assertThat(bed.err()).containsExactly("2 of 3 answers are taken from " + partial);
        assertThat(bed.out()).startsWith(out + ": 3/3 answers, 2 tokens in ");
        assertThat(partial).doesNotExist();
        String resumed = TrainBed.read(out);
        assertThat(generate(flags)).isEqualTo(ExitCode.OK);
        assertThat(bed.err()).isEmpty();
        assertThat(out).hasContent(resumed);
        assertThat(answers()).extracting(line -> line.get("id").asInt()).containsExactly(0, 1, 2);
    }

    /** A kill may come while a line is written. */
    @Test
    void lineThatWasCutOff_isAnsweredAgain() {
        StringBuilder lines = new StringBuilder();
        for (int id = 0; id < 5; id++) {
            lines.append("{\"id\": %d, \"prompt\": \"Hi\"}%n".formatted(id));
        }
        String tooLong = "{\"prompt\": \"%s\"}\n".formatted("word ".repeat(40));
        TrainBed.write(prompts, lines + tooLong);
        String[] flags = {"--batch", "1", "--max-new-tokens", "3", "--temperature", "2"};
        generate(flags);
        Path partial = folder.resolve("answers.jsonl.partial");
        String kept = TrainBed.read(partial);
        assertThat(kept.lines()).hasSize(5);
        TrainBed.write(partial, kept.substring(0, kept.length() - 10));
        TrainBed.write(prompts, lines.toString());
        assertThat(generate(flags)).isEqualTo(ExitCode.OK);
        assertThat(bed.err().getFirst()).startsWith("4 of 5 answers are taken");
        String resumed = TrainBed.read(out);
        assertThat(answers())
                .extracting(line -> line.get("id").asInt())
                .containsExactly(0, 1, 2, 3, 4);
        TrainBed.write(out, "");
        generate("--batch", "1", "--max-new-tokens", "3", "--temperature", "2", "--overwrite");
        assertThat(out).hasContent(resumed);
    }

    @Test
    void answersOfOtherSettings_areRefused() {
        String tooLong = "{\"prompt\": \"%s\"}\n".formatted("word ".repeat(40));
        TrainBed.write(prompts, "{\"prompt\": \"Hi\"}\n" + tooLong);
        generate("--batch", "1", "--max-new-tokens", "2");
        List<String> before = names();
        bed.assertOneLine(
                generate("--batch", "1", "--max-new-tokens", "3"),
                out + ".partial holds answers to other prompts");
        assertThat(names()).isEqualTo(before);
        TrainBed.write(folder.resolve("answers.jsonl.partial"), "not ours\n");
        bed.assertOneLine(generate(), "is not what qlora generate keeps there");
        assertThat(folder.resolve("answers.jsonl.partial")).hasContent("not ours\n");
    }

    /** Before the model is loaded: the one named here does not exist. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{\"prompt\": 3} | field prompt must be text, got the number 3",
                "{\"question\": \"x\"} | field prompt is missing; the record has [question]",
                "{\"messages\": \"x\"} | field messages must be a list of {role, content}",
                "{\"messages\": [{\"content\": \"x\"}]} | messages[0] must be an object {role, content}",
                "{\"prompt\": \"x\" | 15: not JSON: ",
            })
    void brokenLine_isNamed(String line, String problem) {
        TrainBed.write(prompts, "{\"prompt\": \"Hi\"}\n" + line + "\n");
        int code =
                bed.command(
                        "generate",
                        "--model",
                        "none",
                        "--prompts",
                        prompts.toString(),
                        "--out",
                        out.toString());
        bed.assertOneLine(code, prompts + ":2:", problem);
        assertThat(out).doesNotExist();
    }

    @ParameterizedTest
    @CsvSource({
        "--prompt x --prompts p --out o, 'give one prompt with --prompt, or many with --prompts'",
        "--out o, 'give one prompt with --prompt, or many with --prompts'",
        "--prompts p, '--prompts needs --out, the file that takes the answers'",
        "--prompts p --out o --batch 0, '--batch must be at least 1, got 0'",
        "--prompts p --out no/o, '--out no/o: its folder does not exist; make it'",
    })
    void mistakeInFlags_isOneLine(String flags, String problem) {
        List<String> all = new ArrayList<>(List.of("generate", "--model", "none"));
        all.addAll(Arrays.asList(flags.split(" ", -1)));
        bed.assertOneLine(bed.command(all.toArray(String[]::new)), problem);
    }

    private int generate(String... flags) {
        List<String> all =
                new ArrayList<>(
                        List.of(
                                "generate",
                                "--model",
                                bed.model().toString(),
                                "--prompts",
                                prompts.toString(),
                                "--out",
                                out.toString()));
        all.addAll(Arrays.asList(flags));
        return bed.command(all.toArray(String[]::new));
    }

    private List<JsonNode> answers() {
        return TrainBed.read(out).lines().map(JSON::readTree).toList();
    }

    private List<String> names() {
        try (var files = Files.list(folder)) {
            return files.map(Path::toString).sorted().toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
