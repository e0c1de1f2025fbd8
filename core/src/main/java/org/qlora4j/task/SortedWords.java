package org.qlora4j.task;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.PythonRegex;

/**
 * The words of a list in the order in which an answer has them, each where it stands last. The list
 * stands in the field {@code input}, behind "List:".
 */
record SortedWords() implements ResponseFilter {
    private static final PythonRegex BLANKS = PythonRegex.of("\\s+");

    @Override
    public Object apply(List<Object> responses, Map<String, Object> document) {
        String[] parts = String.valueOf(document.get("input")).split(Pattern.quote("List:"), -1);
        String list = parts.length < 2 ? "" : PythonText.strip(parts[1]);
        if (list.isEmpty()) {
            throw new FormatException("sorted_words needs documents whose input has a List:");
        }
        PythonRegex word =
                PythonRegex.of(
                        BLANKS.split(list).stream()
                                .map(text -> "\\b" + text + "\\b")
                                .collect(Collectors.joining("|")));
        return ResponseFilter.each(
                responses,
                text -> {
                    LinkedHashSet<String> backwards = new LinkedHashSet<>();
                    word.findAll(text).reversed().forEach(found -> backwards.add(found.getFirst()));
                    return String.join(" ", backwards.reversed());
                });
    }
}
