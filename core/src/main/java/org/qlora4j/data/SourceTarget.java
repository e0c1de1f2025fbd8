package org.qlora4j.data;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Prompt and answer as text, made from a record as qlora.py makes them (formats of {@code
 * format_dataset}).
 *
 * @param source what is given; masked unless {@code train_on_source}
 * @param target what is learnt
 */
record SourceTarget(String source, String target) {
    static final String CHIP2_BOT = "\n<bot>: ";

    /**
     * The pairs of a record, nearly always one. Throws a {@code FormatException} naming file and
     * line if a field is missing or of the wrong type.
     */
    static List<SourceTarget> allOf(Row row, DatasetFormat format) {
        return format == DatasetFormat.UNNATURAL_INSTRUCTIONS
                ? instances(row, true)
                : List.of(of(row, format));
    }

    /** The pairs of a record without any prompt around them, for a chat template to write. */
    static List<SourceTarget> plainOf(Row row, DatasetFormat format) {
        return switch (format) {
            case UNNATURAL_INSTRUCTIONS -> instances(row, false);
            case ALPACA ->
                    List.of(
                            new SourceTarget(
                                    joined(row.text("instruction"), context(row)),
                                    row.text("output")));
            default -> allOf(row, format);
        };
    }

    /** The pair of a record; errors as in {@link #allOf}. */
    static SourceTarget of(Row row, DatasetFormat format) {
        return switch (format) {
            case ALPACA ->
                    new SourceTarget(
                            alpacaPrompt(row.text("instruction"), context(row)),
                            row.text("output"));
            case INPUT_OUTPUT -> new SourceTarget(row.text("input"), row.text("output"));
            case PROMPT_COMPLETION -> new SourceTarget(row.text("prompt"), row.text("completion"));
            case FLAN -> new SourceTarget(row.text("inputs"), row.text("targets"));
            case PREFERENCE -> preferred(row);
            case HH_RLHF -> new SourceTarget("", row.text("chosen"));
            case OASST1, TEXT -> new SourceTarget("", row.text("text"));
            case CHIP2 -> chip2(row);
            case AUTO, MESSAGES, SHAREGPT, UNNATURAL_INSTRUCTIONS, CLASSIFICATION ->
                    throw new IllegalArgumentException(format + " gives no one source and target");
        };
    }

    /** The two prompts of Stanford Alpaca. */
    private static String alpacaPrompt(String instruction, String input) {
        boolean alone = input.isEmpty();
        return "Below is an instruction that describes a task"
                + (alone ? ". " : ", paired with an input that provides further context. ")
                + "Write a response that appropriately completes the request.\n\n### Instruction:\n"
                + instruction
                + (alone ? "" : "\n\n### Input:\n" + input)
                + "\n\n### Response: ";
    }

    /** What an instruction is about: Alpaca's input, or what other data sets call context. */
    private static String context(Row row) {
        String input = row.textOrEmpty("input");
        return input.isEmpty() ? SideColumns.text(row, SideColumns.CONTEXT) : input;
    }

    /** The answer that was preferred, behind its prompt, which it may begin with. */
    private static SourceTarget preferred(Row row) {
        String prompt = row.text("prompt");
        String chosen = row.text("chosen");
        boolean whole = !prompt.isEmpty() && chosen.startsWith(prompt);
        return new SourceTarget(prompt, whole ? chosen.substring(prompt.length()) : chosen);
    }

    static String joined(String instruction, String input) {
        return input.isEmpty() ? instruction : instruction + "\n\n" + input;
    }

    private static SourceTarget chip2(Row row) {
        String[] parts = row.text("text").split(CHIP2_BOT, -1);
        if (parts.length < 2) {
            throw row.error(
                    "field text has no \"\\n<bot>: \", which ends the prompt in format chip2");
        }
        return new SourceTarget(parts[0].replace("<human>: ", ""), parts[1]);
    }

    /**
     * The instances of a task, in Alpaca's prompt. Unnatural instructions join instruction and
     * input themselves, as {@code instruction_with_input}; the seed tasks of Self-Instruct have
     * {@code input}. Reformulations are instances with an instruction of their own.
     */
    private static List<SourceTarget> instances(Row row, boolean prompts) {
        List<SourceTarget> pairs = new ArrayList<>();
        String instruction = row.text("instruction");
        for (String field : List.of("instances", "reformulations")) {
            Object value = row.fields().get(field);
            if (value == null && field.equals("reformulations")) {
                continue;
            }
            if (!(value instanceof List<?> list)) {
                throw row.error(
                        "field %s must be a list of {input, output}, got %s",
                        field, Row.kind(value));
            }
            for (int i = 0; i < list.size(); i++) {
                String place = field + "[" + i + "]";
                if (!(list.get(i) instanceof Map<?, ?> instance)) {
                    throw row.error(
                            "%s must be an object {input, output}, got %s",
                            place, Row.kind(list.get(i)));
                }
                String written = textIn(row, instance, place, "instruction_with_input", true);
                String input = textIn(row, instance, place, "input", true);
                String task = written.isEmpty() ? instruction : written;
                String more = written.isEmpty() ? input : "";
                String source = prompts ? alpacaPrompt(task, more) : joined(task, more);
                pairs.add(new SourceTarget(source, textIn(row, instance, place, "output", false)));
            }
        }
        if (pairs.isEmpty()) {
            throw row.error("field instances is an empty list");
        }
        return pairs;
    }

    private static String textIn(
            Row row, Map<?, ?> object, String place, String name, boolean optional) {
        Object value = object.get(name);
        if (value instanceof String text) {
            return text;
        }
        if (value == null && optional) {
            return "";
        }
        throw row.error(
                "%s.%s must be text, got %s",
                place,
                name,
                object.containsKey(name) ? Row.kind(value) : "none; it has " + object.keySet());
    }
}
