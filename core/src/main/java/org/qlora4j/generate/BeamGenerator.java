package org.qlora4j.generate;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.model.CausalModel;

/**
 * Continues one text by {@link BeamSearch}, with a key-value cache that has a row for each beam.
 * The model stays its owner's. Runs on the engine thread; between two searches it holds no native
 * memory.
 */
public final class BeamGenerator {
    private final CausalModel model;
    private final InferenceHead head;

    /**
     * @param head stays its owner's
     */
    public BeamGenerator(CausalModel model, InferenceHead head) {
        this.model = model;
        this.head = head;
    }

    /**
     * The best continuations, the best first.
     *
     * @param prompt ids, at least one, and fewer than the model's context holds
     * @param config limits and ids that end a text; nothing else may be set
     * @throws ConfigException if the prompt is empty or too long, or the config asks for more
     * @throws FormatException if an id is none of the model's, or the model gives logits that are
     *     not finite
     */
    public List<BeamSearch.Finished> generate(
            int[] prompt, GenerationConfig config, BeamConfig beams) {
        BeamConfig.requireLimitsAlone(config);
        Decoding.Request request = new Decoding.Request(prompt, config, null, token -> null);
        Decoding.check(model, request);
        int[] read = ReadSource.decoderPrompt(model, prompt);
        int most = Decoding.lastPosition(model, request) - read.length;
        Set<Integer> ends = new TreeSet<>(model.eosIds());
        ends.addAll(config.stopTokenIds());
        BeamSearch search = new BeamSearch(beams, ends, config.minNewTokens(), most);
        try (NextLogits next = new NextLogits(model, head);
                KeyValueCache cache = new KeyValueCache(model, beams.numBeams())) {
            if (ReadSource.isFor(model)) {
                cache.readSource(model, 0, prompt);
            }
            return search.run(new CachedTexts(next, cache, read));
        }
    }

    /** Texts in the rows of a cache, which they keep as long as one of their children lives. */
    private static final class CachedTexts implements BeamSearch.Texts {
        private final NextLogits next;
        private final KeyValueCache cache;
        private final int[] prompt;
        private int[] rows = {0}; // of each text
        private int length; // positions held

        CachedTexts(NextLogits next, KeyValueCache cache, int[] prompt) {
            this.next = next;
            this.cache = cache;
            this.prompt = prompt;
            this.length = prompt.length;
        }

        @Override
        public float[] first() {
            return NextLogits.finite(next.prefill(prompt, cache), length);
        }

        @Override
        public List<float[]> next(int[] parents, int[] tokens) {
            move(parents);
            long[] ids = new long[cache.rows()];
            for (int i = 0; i < tokens.length; i++) {
                ids[rows[i]] = tokens[i];
            }
            cache.reserve(length + 1);
            List<float[]> byRow = next.step(ids, cache);
            length++;
            return Arrays.stream(rows)
                    .mapToObj(row -> NextLogits.finite(byRow.get(row), length))
                    .toList();
        }

        /** Gives the first child of a text its row, and copies that for the others. */
        private void move(int[] parents) {
            int[] moved = new int[parents.length];
            boolean[] taken = new boolean[cache.rows()];
            boolean[] copies = new boolean[parents.length];
            for (int i = 0; i < parents.length; i++) {
                moved[i] = rows[parents[i]];
                copies[i] = taken[moved[i]];
                taken[moved[i]] = true;
            }
            int free = 0;
            for (int i = 0; i < parents.length; i++) {
                if (copies[i]) {
                    while (taken[free]) {
                        free++;
                    }
                    taken[free] = true;
                    cache.copy(moved[i], free, length);
                    moved[i] = free;
                }
            }
            for (int row = 0; row < taken.length; row++) {
                if (!taken[row]) {
                    cache.clear(row);
                }
            }
            rows = moved;
        }
    }
}
