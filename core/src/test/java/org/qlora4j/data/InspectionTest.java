package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.tokenize.Tokenizer;

class InspectionTest {
    private static final String GOOD = "{\"input\": \"a\", \"output\": \"b\"}";

    private final Tokenizer tokenizer = References.tokenizer("chatml");
    @TempDir Path folder;

    @AfterEach
    void close() {
        tokenizer.close();
    }

    private Inspection inspect(Set<Integer> stops, List<String> lines, Object... settings) {
        return inspect(stops, 1, lines, settings);
    }

    private Inspection inspect(
            Set<Integer> stops, int from, List<String> lines, Object... settings) {
        List<Object> all =
                new ArrayList<>(
                        List.of("dataset", References.write(folder, lines.toArray(String[]::new))));
        all.addAll(Arrays.asList(settings));
        DataConfig config = References.settings(all.toArray());
        TrainingSet set =
                TrainingSet.load(config, tokenizer, References.CHATML, References.CHATML_TEMPLATE);
        return Inspection.of(set, config, tokenizer, stops, from, 2);
    }

    @Test
    void goodData_hasFactsAndNoFindings() {
        Inspection inspection =
                inspect(Set.of(2), List.of(GOOD, GOOD.replace('a', 'c'), GOOD.replace('a', 'd')));
        assertThat(inspection.findings()).isEmpty();
        assertThat(inspection.ends()).containsExactly(java.util.Map.entry("<|im_end|>", 3));
        assertThat(inspection.facts())
                .containsEntry("tokens", "9, of which 6 trained (66.7%)")
                .containsEntry("round trip", "3 of 3 examples decode to what was encoded");
        assertThat(inspection.shown())
                .extracting(Inspection.Shown::why)
                .containsExactly("the longest, the smallest share trained");
    }

    @Test
    void duplicatesCutsAndUnknownEnds_areFoundAndShown() {
        String cut = "{\"input\": \"a\", \"output\": \"0123456789\"}";
        Inspection inspection =
                inspect(
                        Set.of(0),
                        List.of(GOOD, GOOD, cut, GOOD.replace('b', 'c')),
                        "target_max_len",
                        4);
        assertThat(inspection.duplicates()).isEqualTo(1);
        assertThat(inspection.findings().stream().map(Inspection.Finding::text))
                .anyMatch(f -> f.startsWith("1 examples are cut to source_max_len 1024"))
                .anyMatch(f ->
                        f.startsWith(
                                "3 examples end in <|im_end|>, at which generation with this model does not stop"))
                .anyMatch(f -> f.equals("1 examples say the same as an earlier one"));
        assertThat(inspection.shown())
                .extracting(s -> s.example().line() + ": " + s.why())
                .contains("2: the same as an earlier example", "1: the smallest share trained")
                .anyMatch(s -> s.startsWith("3: its answer is cut"));
    }

    @Test
    void emptyAnswers_areFound() {
        Inspection inspection =
                inspect(Set.of(2), List.of(GOOD, "{\"input\": \"a\", \"output\": \"\"}"));
        assertThat(inspection.findings())
                .containsExactly(
                        new Inspection.Finding(
                                false,
                                "1 examples teach nothing but an end; their answers are empty"));
    }

    @Test
    void leaves_areThoseFromAPlaceOn() {
        List<String> lines = List.of(GOOD, GOOD.replace('a', 'c'), GOOD.replace('a', 'd'));
        Inspection inspection = inspect(Set.of(2), lines);
        assertThat(inspection.leaves()).extracting(Example::line).containsExactly(1, 2);
        assertThat(inspect(Set.of(2), 3, lines).leaves())
                .extracting(Example::line)
                .containsExactly(3);
        assertThat(inspect(Set.of(2), 4, lines).leaves()).isEmpty();
    }
}
