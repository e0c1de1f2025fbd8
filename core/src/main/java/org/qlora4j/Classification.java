package org.qlora4j;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What a classifier says of a text.
 *
 * @param label the likeliest class; empty where the model gives a number
 * @param score its probability, or the number
 * @param probabilities of all classes by name, in their order; empty where the model gives a number
 */
public record Classification(String label, double score, Map<String, Double> probabilities) {
    public Classification {
        probabilities = Collections.unmodifiableMap(new LinkedHashMap<>(probabilities));
    }
}
