package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.error.FormatException;
import org.qlora4j.tokenize.Tokenizer;

/** Which tokens are learnt, and what the limits leave of them. */
class MaskingTest {
    private static final String CHAT =
            """
            {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "a"}, \
            {"role": "assistant", "content": "one"}, {"role": "tool", "content": "42"}, \
            {"role": "assistant", "content": "two"}, {"role": "user", "content": "b"}, \
            {"role": "assistant", "content": "three"}]}\
            """;

    private final Tokenizer tokenizer = References.tokenizer("chatml");
    @TempDir Path folder;

    @AfterEach
    void close() {
        tokenizer.close();
    }

    private TrainingSet load(String line, Object... settings) {
        List<Object> all = new ArrayList<>(List.of("dataset", References.write(folder, line)));
        all.addAll(Arrays.asList(settings));
        return TrainingSet.load(
                References.settings(all.toArray()),
                tokenizer,
                References.CHATML,
                References.CHATML_TEMPLATE);
    }

    private Example example(String line, Object... settings) {
        return load(line, settings).examples().getFirst();
    }

    /** What is learnt, a text for each stretch. */
    private List<String> learnt(Example example) {
        List<String> stretches = new ArrayList<>();
        for (int from = example.labelled().nextSetBit(0), to;
                from >= 0;
                from = example.labelled().nextSetBit(to)) {
            to = example.labelled().nextClearBit(from);
            stretches.add(tokenizer.decode(Arrays.copyOfRange(example.ids(), from, to), false));
        }
        return stretches;
    }

    private String text(Example example) {
        return tokenizer.decode(example.ids(), false);
    }

    @Test
    void rolesToTrain_learnTheirWordsAndEndsButNoHeaders() {
        assertThat(learnt(example(CHAT)))
                .containsExactly("one<|im_end|>", "two<|im_end|>", "three<|im_end|>");
        assertThat(learnt(example(CHAT, "roles_to_train", List.of("user", "tool"))))
                .containsExactly("a<|im_end|>", "42<|im_end|>", "b<|im_end|>");
        assertThat(learnt(example(CHAT, "roles_to_train", List.of("system", "assistant"))))
                .containsExactly(
                        "S<|im_end|>", "one<|im_end|>", "two<|im_end|>", "three<|im_end|>");
    }

    @Test
    void maskHistory_learnsTheLastAnswerOnly() {
        Example example = example(CHAT, "mask_history", true);
        assertThat(learnt(example)).containsExactly("three<|im_end|>");
        assertThat(example.ids()).isEqualTo(example(CHAT).ids());
    }

    @Test
    void messageWithTrainFalse_isLeftOut() {
        assertThat(learnt(example(CHAT.replace("\"two\"", "\"two\", \"train\": false"))))
                .containsExactly("one<|im_end|>", "three<|im_end|>");
    }

    @Test
    void endOfTurnThatIsTheTokenizersPad_isLearntAndSeen() {
        // <|im_end|>, id 2, is EOS and pad of these settings.
        Example example = example(CHAT);
        Batch batch = Batch.of(List.of(example, example(CHAT, "mask_history", true)), 2, 64);
        int last = example.length() - 1;
        assertThat(batch.labels()[last]).isEqualTo(2);
        assertThat(batch.attentionMask()[last]).isTrue();
        assertThat(batch.attentionMask()[last + 1]).isFalse();
        assertThat(batch.labels()[last + 1]).isEqualTo(Batch.IGNORED);
    }

    @Test
    void turnEndThatIsNotTheEos_isLearntAndGetsNoOther() {
        // Id 0, <|endoftext|>, is the tokenizer's EOS; the template ends turns with <|im_end|>.
        DataConfig config = References.settings("dataset", References.write(folder, CHAT));
        SpecialIds special = new SpecialIds(References.CHATML.bos(), 0, 0);
        Example example =
                TrainingSet.load(config, tokenizer, special, References.CHATML_TEMPLATE)
                        .examples()
                        .getFirst();
        assertThat(learnt(example))
                .containsExactly("one<|im_end|>", "two<|im_end|>", "three<|im_end|>");
    }

    @Test
    void dropLastTurns_keepsWholeTurnsWithTheirEnds() {
        Example whole = example(CHAT);
        int limit = whole.length() - 1;
        TrainingSet set =
                load(
                        CHAT,
                        "truncation",
                        "drop_last_turns",
                        "source_max_len",
                        limit - 1,
                        "target_max_len",
                        1);
        Example example = set.examples().getFirst();
        assertThat(learnt(example)).containsExactly("one<|im_end|>", "two<|im_end|>");
        assertThat(text(whole)).startsWith(text(example));
        assertThat(text(example)).endsWith("two<|im_end|>");
        assertThat(example.truncated()).isTrue();
        assertThat(example.endCut()).isFalse();
        assertThat(set.stats().endsCut()).isZero();
    }

    @Test
    void dropFirstTurns_keepsTheSystemMessageAndTheLastAnswers() {
        Example whole = example(CHAT);
        Example example =
                example(
                        CHAT,
                        "truncation",
                        "drop_first_turns",
                        "source_max_len",
                        whole.length() - 2,
                        "target_max_len",
                        1);
        assertThat(text(example))
                .isEqualTo(
                        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\nthree<|im_end|>");
        assertThat(learnt(example)).containsExactly("three<|im_end|>");
        assertThat(example.fullLength()).isEqualTo(whole.length());
    }

    @ParameterizedTest
    @CsvSource({"drop", "drop_last_turns", "drop_first_turns"})
    void chatThatCannotFit_isLeftOutAndCounted(String truncation) {
        String twoLines =
                "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}\n"
                        + CHAT.replace("three", "x".repeat(99)).replace("one", "x".repeat(99));
        TrainingSet set =
                load(twoLines, "truncation", truncation, "source_max_len", 59, "target_max_len", 1);
        assertThat(set.examples()).hasSize(1);
        assertThat(set.stats().dropped()).isEqualTo(1);
        assertThat(set.stats().droppedTooLong()).isEqualTo(1);
        assertThat(set.report(DataConfig.DEFAULT))
                .contains(
                        "1 examples are left out, the first at line 2: they do not fit into source_max_len 1024 and target_max_len 256");
    }

    @Test
    void refuse_namesTheLineAndTheLimit() {
        assertThatThrownBy(() ->
                        load(
                                "\n" + CHAT,
                                "truncation",
                                "refuse",
                                "source_max_len",
                                9,
                                "target_max_len",
                                1))
                .isInstanceOf(FormatException.class)
                .hasMessageMatching(
                        ".*train.jsonl:2: \\d+ tokens, but data.source_max_len \\+ data.target_max_len allows 10; raise it, .*");
    }

    @Test
    void pairs_loseTheirPromptsLeftEndOrAreLeftOut() {
        String pair = "{\"input\": \"0123456789\", \"output\": \"ab\"}";
        String longAnswer = "{\"input\": \"0\", \"output\": \"abcdefghij\"}";
        Object[] limits = {"source_max_len", 4, "target_max_len", 5};
        Example left = example(pair, with(limits, "truncation", "drop_first_turns"));
        assertThat(text(left)).endsWith("6789ab<|im_end|>");
        assertThat(learnt(left)).containsExactly("ab<|im_end|>");
        Example cut = example(pair, limits);
        assertThat(text(cut)).startsWith("0123ab");
        TrainingSet dropped =
                load(
                        pair + "\n" + longAnswer + "\n{\"input\": \"0\", \"output\": \"ok\"}",
                        with(limits, "truncation", "drop"));
        assertThat(dropped.examples()).extracting(Example::line).containsExactly(3);
        assertThatThrownBy(() -> load(longAnswer, with(limits, "truncation", "refuse")))
                .hasMessageContaining("train.jsonl:1: ")
                .hasMessageContaining("data.target_max_len allows 5");
    }

    private static Object[] with(Object[] settings, Object... more) {
        List<Object> all = new ArrayList<>(Arrays.asList(settings));
        all.addAll(Arrays.asList(more));
        return all.toArray();
    }

    @Test
    void longText_goesOnInTheNextExample() {
        String text = "abcdefghijklmnopqrstuvwxyz".repeat(3);
        TrainingSet set =
                load("{\"text\": \"" + text + "\"}", "source_max_len", 9, "target_max_len", 1);
        StringBuilder all = new StringBuilder();
        set.examples().forEach(e -> all.append(text(e)));
        assertThat(all).hasToString(text + "<|im_end|>");
        assertThat(set.examples()).allMatch(e -> e.length() <= 10 && e.length() > 1);
        assertThat(set.stats().truncated()).isZero();
        assertThat(set.stats().split()).isEqualTo(1);
    }

    @Test
    void chatTemplateForPairs_writesThemAsChats() {
        assertThat(
                        text(
                                example(
                                        "{\"instruction\": \"add\", \"input\": \"2 2\", \"output\": \"4\"}",
                                        "chat_template",
                                        "chatml")))
                .isEqualTo(
                        "<|im_start|>user\nadd\n\n2 2<|im_end|>\n<|im_start|>assistant\n4<|im_end|>");
        assertThat(
                        text(
                                example(
                                        "{\"text\": \"### Human: a### Assistant: b\"}",
                                        "chat_template",
                                        "chatml")))
                .isEqualTo("<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>");
    }

    @Test
    void everyExample_decodesToWhatWasEncoded() {
        for (String line :
                List.of(
                        CHAT,
                        "{\"input\": \"ä 🙂\", \"output\": \"b\"}",
                        "{\"text\": \"plain\"}")) {
            assertThat(load(line).stats().roundTrips()).isEqualTo(1);
            assertThat(load(line).stats().roundTripsFailed()).isZero();
            assertThat(load(line, "train_on_source", true).stats().roundTripsFailed()).isZero();
        }
    }

    @Test
    void textTheTokenizerCannotTake_isRefusedWithItsLine() {
        String good = "{\"prompt\": \"a\", \"completion\": \"b\"}\n";
        String bad = good.replace("\"a\"", "\"" + " ".repeat(1_000_001) + "\"");
        assertThatThrownBy(() -> load(good + bad))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(
                        ":2: a text has 1000001 blanks or line feeds in a row, 1000000 at most are tokenized");
    }
}
