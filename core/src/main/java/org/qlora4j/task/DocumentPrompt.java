package org.qlora4j.task;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.task.TaskConfig.Prompt;
import org.qlora4j.template.TextTemplate;

/** Text, target and choices of documents, from templates or fields, typed as the harness does. */
final class DocumentPrompt {
    private final Prompt prompt;
    private final Set<String> fields;
    private final boolean hasChoices;
    private final String where;
    private final Map<String, TextTemplate> templates = new ConcurrentHashMap<>();

    /**
     * @param fields of the task's documents: a template that is one of these names means the field
     * @param hasChoices whether the task has choices, so that digits are a number
     * @param where the task's file
     */
    DocumentPrompt(Prompt prompt, Set<String> fields, boolean hasChoices, String where) {
        this.prompt = prompt;
        this.fields = fields;
        this.hasChoices = hasChoices;
        this.where = where;
    }

    Prompt prompt() {
        return prompt;
    }

    /** The question: text, or the number of a choice where the choices are the questions. */
    Object text(Map<String, Object> document) {
        Object value = value("doc_to_text", prompt.text(), document);
        boolean digits = value instanceof String text && hasChoices && PythonText.isDigits(text);
        return isField(prompt.text()) || !digits ? value : number("doc_to_text", value);
    }

    /** The answer: text, the number of a choice, or a list of either. */
    Object target(Map<String, Object> document) {
        Object value = value("doc_to_target", prompt.target(), document);
        if (isField(prompt.target()) || !(value instanceof String text)) {
            return value;
        }
        if (hasChoices && PythonText.isDigits(text)) {
            return number("doc_to_target", text);
        }
        if (text.length() >= 2 && text.startsWith("[") && text.endsWith("]")) {
            try {
                Object list = PythonLiteral.of(text);
                return list == null ? text : list;
            } catch (FormatException notAList) { // as the harness: text that looks like one
                return text;
            }
        }
        return text;
    }

    private static Object number(String key, Object digits) {
        try {
            return Long.parseLong(String.valueOf(digits));
        } catch (NumberFormatException e) {
            throw FormatException.of("%s is %s, which is no choice", key, digits);
        }
    }

    /** The choices. */
    List<String> choices(Map<String, Object> document) {
        Object source = prompt.choice();
        Object value = source instanceof String ? value("doc_to_choice", source, document) : source;
        if (value instanceof String text && !isField(source)) {
            try {
                value = PythonLiteral.of(text);
            } catch (FormatException e) {
                throw FormatException.of("%s: doc_to_choice %s", where, e.getMessage());
            }
        }
        if (!(value instanceof List<?> list) || list.isEmpty()) {
            throw FormatException.of("%s: doc_to_choice must give a list, got %s", where, value);
        }
        List<String> choices = new ArrayList<>();
        for (Object choice : list) {
            choices.add(PythonValue.text(choice));
        }
        return choices;
    }

    /** A field or template of the document; empty text if there is none. */
    String resolve(String key, @Nullable String template, Map<String, Object> document) {
        if (template == null || template.isEmpty()) {
            return "";
        }
        return document.containsKey(template)
                ? PythonValue.text(document.get(template))
                : render(key, template, document);
    }

    private boolean isField(@Nullable Object template) {
        return template instanceof String name && fields.contains(name);
    }

    private Object value(String key, Object template, Map<String, Object> document) {
        if (!(template instanceof String text)) {
            return template;
        }
        if (!fields.contains(text)) {
            return render(key, text, document);
        }
        Object value = document.get(text);
        if (value == null) {
            throw FormatException.of("%s: %s: the field %s is null", where, key, text);
        }
        return hasChoices && value instanceof Boolean flag ? (Object) (flag ? 1L : 0L) : value;
    }

    private String render(String key, String template, Map<String, Object> document) {
        return templates
                .computeIfAbsent(template, text -> TextTemplate.of(text, where + ": " + key))
                .render(document);
    }
}
