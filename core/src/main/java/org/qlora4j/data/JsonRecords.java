package org.qlora4j.data;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.json.JsonMapper;

/**
 * What readers of JSON share. {@code NaN} and {@code Infinity} pass, because Python writes them.
 */
final class JsonRecords {
    static final JsonMapper JSON =
            JsonMapper.builder()
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                    .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
                    .build();

    private JsonRecords() {}

    /**
     * Makes each Integer inside a value a Long: templates count in longs. Jackson bounds the depth.
     */
    @SuppressWarnings("unchecked") // Jackson's maps and lists take any value
    static void widen(@Nullable Object value) {
        if (value instanceof Map<?, ?> map) {
            for (var entry : ((Map<String, Object>) map).entrySet()) {
                if (entry.getValue() instanceof Integer small) {
                    entry.setValue(small.longValue());
                }
                widen(entry.getValue());
            }
        } else if (value instanceof List<?> list) {
            for (var at = ((List<Object>) list).listIterator(); at.hasNext(); ) {
                Object item = at.next();
                if (item instanceof Integer small) {
                    at.set(small.longValue());
                }
                widen(item);
            }
        }
    }
}
