package org.qlora4j.task;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.PythonRegex;

/** A step between a model's answers and what is counted. */
interface ResponseFilter {
    /**
     * @param responses texts, one for each repeat
     * @param document that was asked
     * @return a list again, or one value
     */
    Object apply(List<Object> responses, Map<String, Object> document);

    /** The first answer. */
    record TakeFirst() implements ResponseFilter {
        @Override
        public Object apply(List<Object> responses, Map<String, Object> document) {
            return responses.getFirst();
        }
    }

    /** The first answers. */
    record TakeFirstK(int count) implements ResponseFilter {
        @Override
        public Object apply(List<Object> responses, Map<String, Object> document) {
            if (responses.size() < count) {
                throw FormatException.of(
                        "take_first_k: %d answers are fewer than k %d; raise repeats",
                        responses.size(), count);
            }
            return responses.subList(0, count);
        }
    }

    /** The answer that occurs most often. */
    record MajorityVote() implements ResponseFilter {
        @Override
        public Object apply(List<Object> responses, Map<String, Object> document) {
            return List.of(FilterChain.mostCommon(responses));
        }
    }

    /** {@code lowercase}, {@code uppercase} and {@code remove_whitespace}. */
    record Change(UnaryOperator<String> change) implements ResponseFilter {
        static final Change LOWER = new Change(text -> text.toLowerCase(Locale.ROOT));
        static final Change UPPER = new Change(text -> text.toUpperCase(Locale.ROOT));
        static final Change STRIP = new Change(PythonText::strip);

        @Override
        public Object apply(List<Object> responses, Map<String, Object> document) {
            return each(responses, change);
        }
    }

    /** Answers by a table; {@code otherwise} for those that are not in it. */
    record MapTo(Map<String, Object> table, Object otherwise) implements ResponseFilter {
        @Override
        public Object apply(List<Object> responses, Map<String, Object> document) {
            return responses.stream()
                    .map(text -> table.getOrDefault(String.valueOf(text), otherwise))
                    .toList();
        }
    }

    /**
     * A match of a regular expression.
     *
     * @param group which of the matches; negative from the end
     * @param fallback where there is none
     */
    record Regex(PythonRegex regex, int group, String fallback) implements ResponseFilter {
        static final String PATTERN = "#### (\\-?[0-9\\.\\,]+)";
        static final String FALLBACK = "[invalid]";

        @Override
        public Object apply(List<Object> responses, Map<String, Object> document) {
            return each(
                    responses,
                    text -> {
                        String found = match(regex, group, text);
                        return found == null ? fallback : found.isEmpty() ? empty(text) : found;
                    });
        }

        /** What no text in any group counts as, which differs from a match that is blank. */
        private String empty(String text) {
            List<List<String>> matches = regex.findAll(text);
            List<String> groups = matches.get(place(group, matches.size()));
            boolean several = groups.size() > 1;
            return several && groups.stream().allMatch(String::isEmpty) ? fallback : "";
        }
    }

    /**
     * What does not matter, taken off a text before it is compared.
     *
     * @param ignored expressions whose matches go first
     */
    record PlainText(boolean ignoreCase, boolean ignorePunctuation, List<PythonRegex> ignored) {
        String of(String text) {
            String out = text;
            for (PythonRegex regex : ignored) {
                out = regex.replace(out, "", 0);
            }
            out = ignoreCase ? out.toLowerCase(Locale.ROOT) : out;
            return ignorePunctuation ? out.replaceAll("\\p{P}", "") : out;
        }
    }

    /**
     * The letter of a choice: by a pattern, by the choice's text, or behind a colon.
     *
     * @param inInput whether the choices stand in the field {@code input} as "(A) one", else in the
     *     list {@code choices}
     */
    record ChoiceLetter(
            PythonRegex regex, int group, String fallback, PlainText plain, boolean inInput)
            implements ResponseFilter {
        private static final PythonRegex LISTED = PythonRegex.of("\\([A-Z]\\)([^\\n^(]*)");

        @Override
        public Object apply(List<Object> responses, Map<String, Object> document) {
            Map<String, String> letters = new LinkedHashMap<>();
            List<String> patterns = new ArrayList<>();
            StringBuilder alphabet = new StringBuilder();
            char letter = 'A';
            for (String choice : choices(document)) {
                String text = plain.of(PythonText.strip(choice));
                letters.put(text, "(" + letter + ")");
                patterns.add(Pattern.quote(text));
                alphabet.append(letter++);
            }
            String byText =
                    patterns.stream()
                            .sorted(Comparator.comparing(String::length).reversed())
                            .collect(Collectors.joining("|"));
            Pattern choicePattern = Pattern.compile(byText);
            PythonRegex behindColon =
                    PythonRegex.of(alphabet.isEmpty() ? "(?!)" : ":[\\s]*([" + alphabet + "])");
            return each(responses, text -> letter(text, choicePattern, letters, behindColon));
        }

        private List<String> choices(Map<String, Object> document) {
            if (inInput) {
                return LISTED.findAll(String.valueOf(document.get("input"))).stream()
                        .map(List::getFirst)
                        .toList();
            }
            if (document.get("choices") instanceof List<?> choices) {
                return choices.stream().map(String::valueOf).toList();
            }
            throw FormatException.of(
                    "multi_choice_regex needs documents with a list of choices; they have %s",
                    document.keySet());
        }

        private String letter(
                String text,
                Pattern choices,
                Map<String, String> letters,
                PythonRegex behindColon) {
            String found = match(regex, group, text);
            if (found != null && !found.isEmpty()) {
                return found;
            }
            List<String> named =
                    choices.matcher(plain.of(text)).results().map(MatchResult::group).toList();
            if (!named.isEmpty()) {
                String name = PythonText.strip(named.get(place(group, named.size())));
                if (!name.isEmpty()) {
                    return letters.getOrDefault(name, name);
                }
            }
            String behind = match(behindColon, group, text);
            return behind == null ? fallback : "(" + behind + ")";
        }
    }

    /** Each answer, changed; what is no text counts as an empty one. */
    static List<Object> each(List<Object> responses, UnaryOperator<String> change) {
        List<Object> out = new ArrayList<>();
        for (Object response : responses) {
            out.add(change.apply(response instanceof String text ? text : ""));
        }
        return out;
    }

    /** Place of an index that may count from the end. */
    static int place(int index, int size) {
        int at = index < 0 ? index + size : index;
        if (at < 0 || at >= size) {
            throw FormatException.of(
                    "group_select %d: an answer has only %d matches; take 0 or -1", index, size);
        }
        return at;
    }

    /** The chosen match without blanks around it, its first group with text; null for none. */
    static @Nullable String match(PythonRegex regex, int group, String text) {
        List<List<String>> matches = regex.findAll(text);
        if (matches.isEmpty()) {
            return null;
        }
        List<String> groups = matches.get(place(group, matches.size()));
        String first = groups.stream().filter(found -> !found.isEmpty()).findFirst().orElse("");
        return PythonText.strip(first);
    }
}
