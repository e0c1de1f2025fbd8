package org.qlora4j.task;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.BiPredicate;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.PythonRegex;
import tools.jackson.core.JacksonException;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.json.JsonMapper;

/**
 * An instruction of IFEval that a plain rule checks (arXiv 2311.07911, appendix), as its authors'
 * program checks it, oddities included.
 *
 * @param id such as {@code punctuation:no_comma}
 * @param arguments by name, as the data has them
 */
record Instruction(String id, Map<String, Object> arguments) {
    private static final Map<String, BiPredicate<Instruction, String>> RULES = rules();
    private static final PythonRegex WORD = PythonRegex.of("\\w+");
    private static final PythonRegex BLANKS = PythonRegex.of("\\s+");
    private static final JsonMapper JSON =
            JsonMapper.builder()
                    .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
                    .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                    .build();

    /** Whether a rule for it stands here. */
    static boolean isKnown(String id) {
        return RULES.containsKey(id);
    }

    /**
     * @param arguments null and empty values count as missing
     */
    static Instruction of(String id, Map<?, ?> arguments) {
        Map<String, Object> given = new HashMap<>();
        arguments.forEach((name, value) -> {
            if (value != null) {
                given.put(String.valueOf(name), value);
            }
        });
        return new Instruction(id, given);
    }

    /** Whether an answer follows it. */
    boolean isFollowedBy(String answer) {
        BiPredicate<Instruction, String> rule = RULES.get(id);
        if (rule == null) {
            throw FormatException.of("the instruction %s is no plain rule", id);
        }
        return rule.test(this, answer);
    }

    private static Map<String, BiPredicate<Instruction, String>> rules() {
        Map<String, BiPredicate<Instruction, String>> out = new HashMap<>();
        out.put("keywords:existence", Instruction::hasKeywords);
        out.put("keywords:frequency", Instruction::hasKeywordOften);
        out.put("keywords:forbidden_words", Instruction::lacksWords);
        out.put("keywords:letter_frequency", Instruction::hasLetterOften);
        out.put("length_constraints:number_paragraphs", Instruction::hasParagraphs);
        out.put(
                "length_constraints:number_words",
                (own, text) ->
                        own.related("relation", WORD.findAll(text).size(), own.count("num_words")));
        out.put(
                "length_constraints:nth_paragraph_first_word",
                Instruction::paragraphBeginsWithWord);
        out.put(
                "detectable_content:number_placeholders",
                (own, text) -> found("\\[.*?\\]", text) >= own.count("num_placeholders"));
        out.put("detectable_content:postscript", Instruction::hasPostscript);
        out.put(
                "detectable_format:number_bullet_lists",
                (own, text) ->
                        found("(?m)^\\s*\\*[^\\*].*$", text) + found("(?m)^\\s*-.*$", text)
                                == own.count("num_bullets"));
        out.put(
                "detectable_format:constrained_response",
                (own, text) ->
                        Set.of("yes", "no", "maybe").stream()
                                .anyMatch(word -> text.contains("My answer is " + word + ".")));
        out.put("detectable_format:number_highlighted_sections", Instruction::hasHighlights);
        out.put(
                "detectable_format:multiple_sections",
                (own, text) ->
                        found(
                                        "\\s?"
                                                + PythonText.strip(own.text("section_spliter"))
                                                + "\\s?\\d+\\s?",
                                        text)
                                >= own.count("num_sections"));
        out.put("detectable_format:json_format", (own, text) -> isJson(text));
        out.put("detectable_format:title", (own, text) -> hasTitle(text));
        out.put("combination:two_responses", (own, text) -> isTwoAnswers(text));
        out.put(
                "combination:repeat_prompt",
                (own, text) ->
                        lower(PythonText.strip(text))
                                .startsWith(lower(PythonText.strip(own.text("prompt_to_repeat")))));
        out.put(
                "startend:end_checker",
                (own, text) ->
                        lower(without(PythonText.strip(text), '"'))
                                .endsWith(lower(PythonText.strip(own.text("end_phrase")))));
        out.put("startend:quotation", (own, text) -> isQuoted(PythonText.strip(text)));
        out.put("punctuation:no_comma", (own, text) -> !text.contains(","));
        return out;
    }

    private boolean hasKeywords(String answer) {
        return texts("keywords").stream().allMatch(word -> found("(?i)" + word, answer) > 0);
    }

    private boolean hasKeywordOften(String answer) {
        int often = found("(?i)" + PythonText.strip(text("keyword")), answer);
        return related("relation", often, count("frequency"));
    }

    private boolean lacksWords(String answer) {
        return texts("forbidden_words").stream()
                .allMatch(word -> found("(?i)\\b" + word + "\\b", answer) == 0);
    }

    private boolean hasLetterOften(String answer) {
        String letter = lower(PythonText.strip(text("letter")));
        long often =
                lower(answer)
                        .codePoints()
                        .filter(c -> Character.toString(c).equals(letter))
                        .count();
        return related("let_relation", Math.toIntExact(often), count("let_frequency"));
    }

    /** Paragraphs between lines of three stars; the first and the last may be empty. */
    private boolean hasParagraphs(String answer) {
        List<String> parts = PythonRegex.of("\\s?\\*\\*\\*\\s?").split(answer);
        int count = parts.size();
        for (int i = 0; i < parts.size(); i++) {
            if (PythonText.strip(parts.get(i)).isEmpty()) {
                if (i > 0 && i < parts.size() - 1) {
                    return false;
                }
                count--;
            }
        }
        return count == count("num_paragraphs");
    }

    private boolean paragraphBeginsWithWord(String answer) {
        String[] parts = answer.split("\n\n", -1);
        int count = parts.length;
        for (String part : parts) {
            count -= PythonText.strip(part).isEmpty() ? 1 : 0;
        }
        int nth = count("nth_paragraph");
        if (nth < 1 || nth > count) {
            return false;
        }
        String paragraph = PythonText.strip(parts[nth - 1]);
        if (paragraph.isEmpty()) {
            return false;
        }
        String word = BLANKS.split(paragraph).getFirst().replaceFirst("^'+", "");
        String first = word.replaceFirst("^\"+", "").split("[.,?!'\"]", -1)[0];
        return count == count("num_paragraphs") && lower(first).equals(lower(text("first_word")));
    }

    private boolean hasPostscript(String answer) {
        String marker = PythonText.strip(text("postscript_marker"));
        String regex =
                switch (marker) {
                    case "P.P.S" -> "\\s*p\\.\\s?p\\.\\s?s.*$";
                    case "P.S." -> "\\s*p\\.\\s?s\\..*$";
                    default -> "\\s*" + lower(marker) + ".*$";
                };
        return found("(?m)" + regex, lower(answer)) > 0;
    }

    private boolean hasHighlights(String answer) {
        int count = 0;
        for (List<String> one : PythonRegex.of("\\*[^\\n\\*]*\\*").findAll(answer)) {
            count += PythonText.strip(without(one.getFirst(), '*')).isEmpty() ? 0 : 1;
        }
        for (List<String> two : PythonRegex.of("\\*\\*[^\\n\\*]*\\*\\*").findAll(answer)) {
            String inside = two.getFirst().substring(2, two.getFirst().length() - 2);
            count += PythonText.strip(inside).isEmpty() ? 0 : 1;
        }
        return count >= count("num_highlights");
    }

    private static boolean hasTitle(String answer) {
        return PythonRegex.of("<<[^\\n]+>>").findAll(answer).stream()
                .map(found -> found.getFirst().replaceFirst("^<+", "").replaceFirst(">+$", ""))
                .anyMatch(title -> !PythonText.strip(title).isEmpty());
    }

    private static boolean isTwoAnswers(String answer) {
        String[] parts = answer.split("\\*{6}", -1);
        List<String> whole =
                List.of(parts).stream()
                        .map(PythonText::strip)
                        .filter(part -> !part.isEmpty())
                        .toList();
        for (int i = 1; i < parts.length - 1; i++) {
            if (PythonText.strip(parts[i]).isEmpty()) {
                return false;
            }
        }
        return whole.size() == 2 && !whole.getFirst().equals(whole.getLast());
    }

    private static boolean isQuoted(String answer) {
        return answer.length() > 1 && answer.startsWith("\"") && answer.endsWith("\"");
    }

    private static boolean isJson(String answer) {
        String text = PythonText.strip(answer);
        for (String fence : List.of("```json", "```Json", "```JSON", "```")) {
            text = text.startsWith(fence) ? text.substring(fence.length()) : text;
        }
        text = text.endsWith("```") ? text.substring(0, text.length() - 3) : text;
        text = PythonText.strip(text);
        try {
            return !text.isEmpty() && JSON.readTree(text) != null;
        } catch (JacksonException e) {
            return false;
        }
    }

    private static int found(String regex, String text) {
        return PythonRegex.of(regex).findAll(text).size();
    }

    private static String lower(String text) {
        return text.toLowerCase(Locale.ROOT);
    }

    /** {@code str.strip} of one character. */
    private static String without(String text, char character) {
        int from = 0;
        int to = text.length();
        while (from < to && text.charAt(from) == character) {
            from++;
        }
        while (to > from && text.charAt(to - 1) == character) {
            to--;
        }
        return text.substring(from, to);
    }

    /** Whether a count stands in the relation that an argument names. */
    private boolean related(String relation, int count, int bound) {
        return switch (text(relation)) {
            case "less than" -> count < bound;
            case "at least" -> count >= bound;
            default -> throw wrong(relation, "less than or at least");
        };
    }

    private String text(String name) {
        if (arguments.get(name) instanceof String text) {
            return text;
        }
        throw wrong(name, "text");
    }

    private int count(String name) {
        if (arguments.get(name) instanceof Number number) {
            return number.intValue();
        }
        throw wrong(name, "a whole number");
    }

    private List<String> texts(String name) {
        if (arguments.get(name) instanceof List<?> list && !list.isEmpty()) {
            return list.stream().map(String::valueOf).toList();
        }
        throw wrong(name, "a list of texts");
    }

    private FormatException wrong(String name, String rule) {
        @Nullable Object value = arguments.get(name);
        return FormatException.of(
                "kwargs of the instruction %s: %s must be %s, got %s", id, name, rule, value);
    }
}
