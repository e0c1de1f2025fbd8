package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The command on the tiny model, which was never trained: so that its messages end at all, a
 * quarter of its words end a text here.
 */
class DataSampleCommandTest {
    @TempDir Path folder;
    private TrainBed bed;
    private Path out;

    @BeforeEach
    void layOut() {
        bed = new TrainBed(folder);
        out = folder.resolve("written.jsonl");
        String ends =
                IntStream.range(120, 160)
                        .mapToObj(Integer::toString)
                        .collect(Collectors.joining(", "));
        TrainBed.write(
                bed.model("generation_config.json"), "{\"eos_token_id\": [2, %s]}".formatted(ends));
    }

    @ParameterizedTest
    @CsvSource({"1, , 6", "2, Be brief., 3"})
    void conversations_areWholeAndTrainAModel(int turns, String system, int conversations)
            throws Exception {
        List<String> flags =
                new ArrayList<>(
                        List.of("--turns", "" + turns, "--conversations", "" + conversations));
        if (system != null) {
            flags.addAll(List.of("--system", system));
        }
        assertThat(sample(flags)).as("%s", bed.err()).isEqualTo(ExitCode.OK);
        assertThat(bed.out())
                .startsWith(out + ": %1$d/%1$d conversations, ".formatted(conversations));

        List<String> lines = Files.readAllLines(out);
        assertThat(lines).hasSize(conversations);
        Set<String> first = new HashSet<>();
        for (String line : lines) {
            JsonNode messages = new JsonMapper().readTree(line).get("messages");
            List<String> roles = new ArrayList<>();
            for (JsonNode message : messages) {
                assertThat(message.propertyNames()).containsExactly("role", "content");
                roles.add(message.get("role").asString());
                assertThat(message.get("content").asString()).isNotBlank().doesNotContain("<|");
            }
            List<String> expected = new ArrayList<>();
            if (system != null) {
                expected.add("system");
                assertThat(messages.get(0).get("content").asString()).isEqualTo(system);
            }
            for (int turn = 0; turn < turns; turn++) {
                expected.addAll(List.of("user", "assistant"));
            }
            assertThat(roles).isEqualTo(expected);
            first.add(messages.get(expected.indexOf("user")).get("content").asString());
        }
        assertThat(first).as("no first message twice").hasSize(conversations);

        int trained = bed.train("--data", out.toString(), "--steps", "1");
        assertThat(trained).as("%s", bed.err()).isEqualTo(ExitCode.OK);
    }

    @Test
    void seed_repeatsTheFile() throws Exception {
        sample(List.of("--conversations", "4", "--seed", "5"));
        String once = Files.readString(out);
        sample(List.of("--conversations", "4", "--seed", "5", "--overwrite"));
        assertThat(out).hasContent(once);
        sample(List.of("--conversations", "4", "--seed", "6", "--overwrite"));
        assertThat(Files.readString(out)).isNotEqualTo(once);
    }

    @Test
    void existingFile_isRefusedBeforeTheWork() {
        TrainBed.write(out, "mine\n");
        bed.assertOneLine(sample(List.of()), "--out " + out + " exists; add --overwrite");
        assertThat(out).hasContent("mine\n");
    }

    /** With messages of one token at most, none ends. */
    @Test
    void noWholeConversation_isOneLineAndNoFile() {
        int code = sample(List.of("--conversations", "2", "--max-new-tokens", "1"));
        bed.assertOneLine(
                code, "wrote no whole conversation in 16 attempts (", "raise --max-new-tokens");
        assertThat(out).doesNotExist();
    }

    @Test
    void modelWithoutTemplate_isOneLine() throws Exception {
        Files.delete(bed.model("chat_template.jinja"));
        bed.assertOneLine(sample(List.of()), "the model has no chat template");
        assertThat(out).doesNotExist();
    }

    @ParameterizedTest
    @CsvSource({
        "--conversations 0, 'conversations must be at least 1, got 0'",
        "--turns 0, 'turns must be at least 1, got 0'",
        "--batch 0, 'batch must be at least 1, got 0'",
        "--system x --no-system, 'a system message cannot be given and left out; use one of them'",
    })
    void mistakeInFlags_isOneLine(String flags, String problem) {
        bed.assertOneLine(sample(Arrays.asList(flags.split(" ", -1))), problem);
    }

    private int sample(List<String> flags) {
        List<String> all =
                new ArrayList<>(
                        List.of(
                                "data",
                                "sample",
                                "--model",
                                bed.model().toString(),
                                "--out",
                                out.toString()));
        all.addAll(flags);
        if (!flags.contains("--max-new-tokens")) {
            all.addAll(List.of("--max-new-tokens", "12"));
        }
        return bed.command(all.toArray(String[]::new));
    }
}
