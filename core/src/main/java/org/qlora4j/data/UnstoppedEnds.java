package org.qlora4j.data;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Ends that are learnt, but at which generation with the model does not stop: it would write on
 * behind its answer.
 */
public final class UnstoppedEnds {
    private UnstoppedEnds() {}

    /**
     * A sentence for each special token that examples end in and that does not end generation.
     *
     * @param stops ids that end a text, from the model's config
     */
    public static List<String> in(TrainingSet set, Tokenizer tokenizer, Iterable<Integer> stops) {
        Map<Integer, Integer> ends = new TreeMap<>();
        for (Example example : set.examples()) {
            if (!example.endCut()) {
                ends.merge(example.ids()[example.length() - 1], 1, Integer::sum);
            }
        }
        Set<Integer> all = new HashSet<>();
        stops.forEach(all::add);
        return in(ends, tokenizer, all).stream().map(s -> "warning: " + s).toList();
    }

    /** As {@link #in(TrainingSet, Tokenizer, Iterable)}, of the number of examples by last id. */
    static List<String> in(Map<Integer, Integer> ends, Tokenizer tokenizer, Set<Integer> stops) {
        List<String> sentences = new ArrayList<>();
        ends.forEach((id, examples) -> {
            boolean special = id >= 0 && tokenizer.decode(new int[] {id}, true).isEmpty();
            if (special && !stops.isEmpty() && !stops.contains(id)) {
                sentences.add(
                        "%d examples end in %s, at which generation with this model does not stop; eos_token_id of generation_config.json"
                                        .formatted(examples, tokenizer.token(id).orElse(""))
                                + " should list it");
            }
        });
        return sentences;
    }
}
