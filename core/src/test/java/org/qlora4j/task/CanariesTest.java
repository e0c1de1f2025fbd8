package org.qlora4j.task;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class CanariesTest {
    @TempDir Path folder;

    @Test
    void secrets_standInTheDataAsOftenAsAsked() throws IOException {
        Path out = folder.resolve("planted");
        Canaries.plant(out, 3, List.of(0, 1, 4), 15, 7);
        String train = Files.readString(out.resolve("train.jsonl"));
        assertThat(train.lines()).hasSize(3 * (0 + 1 + 4));
        for (int times : new int[] {0, 1, 4}) {
            List<String> documents =
                    Files.readAllLines(out.resolve("canaries_" + times + ".jsonl"));
            assertThat(documents).hasSize(3);
            for (String document : documents) {
                JsonNode answers = new JsonMapper().readTree(document).get("answers");
                assertThat(answers).hasSize(16);
                for (int i = 0; i < 16; i++) {
                    String answer = answers.get(i).asString();
                    assertThat(Pattern.compile(Pattern.quote(answer)).matcher(train).results())
                            .as(answer)
                            .hasSize(i == 0 ? times : 0);
                }
            }
        }
        Path again = folder.resolve("again");
        Canaries.plant(again, 3, List.of(0, 1, 4), 15, 7);
        assertThat(again.resolve("train.jsonl"))
                .hasSameTextualContentAs(out.resolve("train.jsonl"));
        assertThatThrownBy(() -> Canaries.plant(again, 3, List.of(1), 15, 7))
                .hasMessageContaining("exists; name a new folder");
        assertThatThrownBy(() -> Canaries.plant(folder.resolve("x"), 200, List.of(0, 1), 15, 7))
                .hasMessage("there are 256 names for secrets, 400 were asked for");
    }

    /** By hand: of 16 answers the secret is the fourth likeliest, so log2(16) - log2(4) bits. */
    @Test
    void exposure_isTheRankAmongOthers() {
        Path out = folder.resolve("planted");
        Canaries.plant(out, 2, List.of(1), 15, 7);
        TaskSuite suite =
                TaskSuite.load(
                        List.of(out.resolve("canaries.yaml").toString()), TaskOptions.DEFAULT);
        TaskModel model =
                new TaskModel() {
                    @Override
                    public void answer(
                            List<TaskRequest> requests, BiConsumer<Integer, TaskResponse> done) {
                        for (int i = 0; i < requests.size(); i++) {
                            // the first document's secret beats all, the second's is fourth
                            double secret = i == 0 ? -1 : -4.5;
                            double log = i % 16 == 0 ? secret : -1 - i % 16;
                            done.accept(i, new TaskResponse.Likelihood(log, i == 0));
                        }
                    }

                    @Override
                    public String chat(List<Map<String, String>> messages, boolean open) {
                        throw new AssertionError();
                    }
                };
        Map<String, Object> results =
                requireNonNull(
                        TaskRun.run(suite, model, null, done -> {}).results().get("canaries_1"));
        assertThat((double) requireNonNull(results.get("exposure,none")))
                .isCloseTo((4 + 2) / 2.0, within(1e-12));
        assertThat((double) requireNonNull(results.get("extracted,none"))).isEqualTo(0.5);
    }
}
