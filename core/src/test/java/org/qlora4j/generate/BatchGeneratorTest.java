package org.qlora4j.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.family.Models;
import org.qlora4j.generate.BatchGenerator.Request;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.testing.TinyLlama;

/** On a model of 27,000 weights whose context holds 64 positions, beside one text at a time. */
class BatchGeneratorTest {
    private static final QuantConfig NOT_QUANTIZED =
            new QuantConfig(
                    false, QuantConfig.DEFAULT.type(), false, QuantConfig.DEFAULT.blockSize());
    private static final CausalModel MODEL =
            Models.load(TinyLlama.folder(), NOT_QUANTIZED, DType.F32);

    @AfterAll
    static void free() {
        MODEL.close();
    }

    /**
     * Lengths around blocks of 16 positions, each prompt of ids of its own, lengths of answers too.
     */
    private static List<Request> requests(int count) {
        return IntStream.range(0, count)
                .mapToObj(i -> new Request(i, prompt(i), config(i)))
                .toList();
    }

    private static int[] prompt(int i) {
        int[] lengths = {1, 2, 15, 16, 17, 31, 33, 50};
        return IntStream.range(0, lengths[i % lengths.length])
                .map(t -> 3 + (i * 31 + t * 37) % 150)
                .toArray();
    }

    private static GenerationConfig config(int i) {
        return GenerationConfig.DEFAULT.withMaxNewTokens(1 + i * 7 % 30).withMinNewTokens(i % 2);
    }

    private static List<Generation> together(int rows, List<Request> requests) {
        List<Generation> out = new ArrayList<>(Collections.nCopies(requests.size(), null));
        Iterator<Request> left = requests.iterator();
        new BatchGenerator(MODEL, rows)
                .generate(
                        () -> left.hasNext() ? left.next() : null,
                        (request, generation) -> {
                            assertThat(out.set(request.index(), generation)).isNull();
                        });
        return out;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 8, 20, 40})
    void greedyTexts_areThoseOfOneAtATime(int rows) {
        List<Request> requests = requests(24);
        List<Generation> got = together(rows, requests);
        for (Request request : requests) {
            Generation alone =
                    new Generator(MODEL).generate(request.prompt(), request.config(), id -> true);
            Generation text = got.get(request.index());
            assertThat(text.tokens()).as("text %d", request.index()).isEqualTo(alone.tokens());
            assertThat(text.stopReason()).isEqualTo(alone.stopReason());
            assertThat(text.promptTokens()).isEqualTo(request.prompt().length);
        }
        assertThat(got)
                .extracting(Generation::stopReason)
                .contains(StopReason.MAX_NEW_TOKENS, StopReason.CONTEXT_FULL);
    }

    /** Drawn texts follow their own seeds, whatever stands beside them and in whatever order. */
    @Test
    void drawnText_isAFunctionOfItsOwnSeed() {
        List<Request> requests =
                IntStream.range(0, 12)
                        .mapToObj(i ->
                                new Request(i, prompt(i % 4), config(20).sampling(1.5, 0.95, i)))
                        .toList();
        List<Generation> got = together(4, requests);
        List<Request> reversed =
                IntStream.range(0, 12)
                        .mapToObj(i ->
                                new Request(
                                        i,
                                        requests.get(11 - i).prompt(),
                                        requests.get(11 - i).config()))
                        .toList();
        List<Generation> again = together(4, reversed);
        for (int i = 0; i < 12; i++) {
            assertThat(again.get(11 - i).tokens()).isEqualTo(got.get(i).tokens());
        }
        assertThat(got.get(0).tokens()).isNotEqualTo(got.get(4).tokens());
    }

    @Test
    void textsThatComeLater_areTaken() {
        List<Request> queue = new ArrayList<>(requests(2));
        List<Integer> ended = new ArrayList<>();
        new BatchGenerator(MODEL, 4)
                .generate(
                        () -> queue.isEmpty() ? null : queue.removeFirst(),
                        (request, generation) -> {
                            ended.add(request.index());
                            if (request.index() < 6) {
                                int next = request.index() + 2;
                                queue.add(new Request(next, prompt(next), config(next)));
                            }
                        });
        assertThat(ended).containsExactlyInAnyOrder(0, 1, 2, 3, 4, 5, 6, 7);
    }

    @Test
    void badPrompt_isAnErrorAndLeavesNoMemoryBehind() {
        together(2, requests(2)); // the model's rotary tables stay
        long before = NativeMemory.liveBytes();
        Request empty = new Request(2, new int[0], GenerationConfig.DEFAULT);
        Request beyond = new Request(2, new int[] {1, 160}, GenerationConfig.DEFAULT);
        List<Request> first = requests(2);
        assertThatThrownBy(() -> together(2, List.of(first.get(0), first.get(1), empty)))
                .isInstanceOf(ConfigException.class)
                .hasMessage("the prompt is empty; give at least one token");
        assertThatThrownBy(() -> together(2, List.of(first.get(0), first.get(1), beyond)))
                .isInstanceOf(FormatException.class);
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }

    @Test
    void manyTexts_holdNoMemoryAndLeaveNothingToScopes() {
        together(3, requests(9));
        long live = NativeMemory.liveBytes();
        long freed = NativeMemory.freedBySafetyNet();
        together(3, requests(24));
        assertThat(NativeMemory.liveBytes()).isEqualTo(live);
        assertThat(NativeMemory.freedBySafetyNet()).isEqualTo(freed);
    }
}
