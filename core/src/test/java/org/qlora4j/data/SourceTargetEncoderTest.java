package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.error.FormatException;
import org.qlora4j.tokenize.Tokenizer;
import tools.jackson.databind.JsonNode;

class SourceTargetEncoderTest {
    @TempDir Path folder;

    static Stream<Arguments> collated() {
        return References.json("collated.json.gz")
                .valueStream()
                .map(c ->
                        Arguments.of(
                                c.get("tokenizer").asString(),
                                c.get("format").asString(),
                                c.get("source_max_len").asInt(),
                                c.get("target_max_len").asInt(),
                                c.get("train_on_source").asBoolean(),
                                c));
    }

    @ParameterizedTest(name = "{0}, {1}, {2} + {3}, train_on_source {4}")
    @MethodSource("collated")
    void batch_equalsCollatorOfQloraPy(
            String name,
            String format,
            int sourceMaxLen,
            int targetMaxLen,
            boolean trainOnSource,
            JsonNode expected) {
        String file =
                References.write(
                        folder,
                        expected.get("records")
                                .valueStream()
                                .map(JsonNode::toString)
                                .toArray(String[]::new));
        DataConfig config =
                References.settings(
                        "dataset", file,
                        "source_max_len", sourceMaxLen,
                        "target_max_len", targetMaxLen,
                        "train_on_source", trainOnSource);
        int pad = expected.get("pad").asInt();
        SpecialIds special =
                new SpecialIds(
                        OptionalInt.of(expected.get("bos").asInt()),
                        expected.get("eos").asInt(),
                        pad);
        try (Tokenizer tokenizer = References.tokenizer(name)) {
            TrainingSet set = TrainingSet.load(config, tokenizer, special, null);
            Batch batch = Batch.of(set.examples(), pad, 1);

            assertThat(set.description()).contains("format " + format);
            assertThat(batch.batch()).isEqualTo(expected.get("input_ids").size());
            int[][] cells = new int[3][];
            int n = 0;
            for (String key : new String[] {"input_ids", "labels", "attention_mask"}) {
                cells[n++] =
                        expected.get(key)
                                .valueStream()
                                .flatMap(JsonNode::valueStream)
                                .mapToInt(JsonNode::asInt)
                                .toArray();
            }
            assertThat(batch.inputIds()).isEqualTo(cells[0]);
            assertThat(batch.labels()).isEqualTo(cells[1]);
            for (int i = 0; i < cells[2].length; i++) {
                assertThat(batch.attentionMask()[i]).isEqualTo(cells[2][i] == 1);
            }
        }
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "prompt-completion | {\"prompt\": \"a\", \"completion\": \"b\"}               | a   | b",
                "oasst1            | {\"text\": \"### Human: a\"}                             | ``  | ### Human: a",
                "hh-rlhf           | {\"chosen\": \"H: a\", \"rejected\": \"no\"}             | ``  | H: a",
                "chip2             | {\"text\": \"<human>: a <human>: b\\n<bot>: c\\n<bot>: d\"} | a b | c",
                "input-output      | {\"input\": \"a\", \"output\": \"b\", \"id\": 7}         | a   | b",
            })
    void format_takesSourceAndTargetAsQloraPy(
            String key, String line, String source, String target) {
        DatasetFormat format =
                Stream.of(DatasetFormat.values())
                        .filter(f -> f.key().equals(key))
                        .findFirst()
                        .orElseThrow();
        try (Source.Rows rows = Source.of(Path.of(References.write(folder, line))).open()) {
            Row row = Objects.requireNonNull(rows.next());
            assertThat(SourceTarget.of(row, format)).isEqualTo(new SourceTarget(source, target));
            if (format != DatasetFormat.CHIP2) {
                assertThat(DatasetFormat.of(row)).isEqualTo(format);
            }
        }
    }

    @ParameterizedTest(name = "{1}")
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "ALPACA       | {\"instruction\": \"a\"}                | field output is missing; the record has [instruction]",
                "ALPACA       | {\"instruction\": \"a\", \"output\": 5}  | field output must be text, got the number 5",
                "ALPACA       | {\"instruction\": null, \"output\": \"\"} | field instruction must be text, got null",
                "ALPACA       | {\"instruction\": \"a\", \"input\": [], \"output\": \"b\"} | field input must be text, got a list",
                "INPUT_OUTPUT | {\"input\": true, \"output\": \"b\"}     | field input must be text, got the boolean true",
                "CHIP2        | {\"text\": \"no bot\"}                   | field text has no \"\\n<bot>: \"",
            })
    void fieldMissingOrOfWrongType_namesLineAndField(
            DatasetFormat format, String line, String expected) {
        String good =
                "{\"instruction\": \"i\", \"input\": \"i\", \"output\": \"o\", \"text\": \"a\\n<bot>: b\"}";
        String file = References.write(folder, good, "", line);
        DataConfig config = References.config(file, format, 8, 8);
        try (Tokenizer tokenizer = References.tokenizer("llama")) {
            assertThatThrownBy(() -> TrainingSet.load(config, tokenizer, References.LLAMA, null))
                    .isInstanceOf(FormatException.class)
                    .hasMessageStartingWith(file + ":3: " + expected);
        }
    }

    @Test
    void tokenThatTextCannotName_isJoinedById() {
        // Id 5 is a byte token of this vocabulary: no text is tokenized to it alone.
        String file = References.write(folder, "{\"input\": \"The\", \"output\": \"The\"}");
        try (Tokenizer tokenizer = References.tokenizer("llama")) {
            int[] the = tokenizer.encode("The");
            TrainingSet set =
                    TrainingSet.load(
                            References.config(file, DatasetFormat.AUTO, 50, 50),
                            tokenizer,
                            new SpecialIds(OptionalInt.empty(), 5, 0),
                            null);
            int[] ids = set.examples().getFirst().ids();
            assertThat(ids).hasSize(2 * the.length + 1).startsWith(the).endsWith(5);
        }
    }
}
