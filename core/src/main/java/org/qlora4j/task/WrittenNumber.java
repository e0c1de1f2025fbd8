package org.qlora4j.task;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.template.PythonRegex;

/**
 * A number in digits by a pattern, else one in English words. Words are read as the harness reads
 * them: to it "six" alone is none, and "forty six" ends behind "forty".
 */
record WrittenNumber(PythonRegex regex, int group, String fallback) implements ResponseFilter {
    private static final String ONES = "zero|one|two|three|four|five";
    private static final String STEMS = "twen|thir|for|fif|six|seven|nine";
    private static final String REST =
            "ten|eleven|twelve|fourteen|hundred|thousand|million|billion|trillion";
    private static final String LAST =
            "(?:%s|(?:%s)(?:teen|ty)|eight(?:een|y)|%s)".formatted(ONES, STEMS, REST);
    private static final String BEFORE =
            "(?:%s|(?:%s)(?:|teen|ty)|eight(?:een|y)|%s|[^\\S\\r\\n]|,|and|&)"
                    .formatted(ONES, STEMS, REST);
    private static final Pattern WORDS =
            Pattern.compile(
                    "(?:(?:%s|(?:%s)(?:teen|ty)|eight(?:|een|y)|%s)%s+)?%s"
                            .formatted(ONES, STEMS, REST, BEFORE, LAST),
                    Pattern.UNICODE_CHARACTER_CLASS);

    private static final Map<String, Long> VALUES = values();

    @Override
    public Object apply(List<Object> responses, Map<String, Object> document) {
        return ResponseFilter.each(responses, this::number);
    }

    private String number(String answer) {
        String digits = ResponseFilter.match(regex, group, answer);
        if (digits != null && !digits.isEmpty()) {
            return digits;
        }
        List<String> words =
                WORDS.matcher(answer.toLowerCase(Locale.ROOT))
                        .results()
                        .map(MatchResult::group)
                        .toList();
        Long value =
                words.isEmpty()
                        ? null
                        : value(words.get(ResponseFilter.place(group, words.size())));
        return value == null ? fallback : String.valueOf(value);
    }

    /** The value of number words; null where they make none. */
    static @Nullable Long value(String words) {
        List<String> known = new ArrayList<>();
        for (String word : words.replace('-', ' ').strip().split("\\s+")) {
            if (VALUES.containsKey(word)) {
                known.add(word);
            }
        }
        if (known.isEmpty()) {
            return null;
        }
        if (known.size() == 1) {
            return VALUES.get(known.getFirst());
        }
        long sum = 0;
        List<String> left = known;
        for (String power : List.of("billion", "million", "thousand")) {
            int at = left.indexOf(power);
            if (at != left.lastIndexOf(power)) {
                return null;
            }
            if (at >= 0) {
                if (left.subList(0, at).stream()
                        .anyMatch(List.of("million", "thousand")::contains)) {
                    return null;
                }
                sum += below(left.subList(0, at)) * VALUES.getOrDefault(power, 1L);
                left = left.subList(at + 1, left.size());
            }
        }
        return left.isEmpty() ? (Long) sum : (Long) (sum + below(left));
    }

    /** Words below a thousand, such as "two hundred forty two". */
    private static long below(List<String> words) {
        List<Long> n = words.stream().map(word -> VALUES.getOrDefault(word, 0L)).toList();
        return switch (n.size()) {
            case 0 -> 1;
            case 2 -> n.contains(100L) ? n.get(0) * n.get(1) : n.get(0) + n.get(1);
            case 3 -> n.get(0) * n.get(1) + n.get(2);
            case 4 -> n.get(0) * n.get(1) + n.get(2) + n.get(3);
            default -> n.getFirst();
        };
    }

    private static Map<String, Long> values() {
        Map<String, Long> out = new HashMap<>();
        String small =
                "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen";
        String[] ones = small.split(" ");
        for (int i = 0; i < ones.length; i++) {
            out.put(ones[i], (long) i);
        }
        String[] tens = "twenty thirty forty fifty sixty seventy eighty ninety".split(" ");
        for (int i = 0; i < tens.length; i++) {
            out.put(tens[i], 20L + 10L * i);
        }
        out.put("hundred", 100L);
        out.put("thousand", 1_000L);
        out.put("million", 1_000_000L);
        out.put("billion", 1_000_000_000L);
        return out;
    }
}
