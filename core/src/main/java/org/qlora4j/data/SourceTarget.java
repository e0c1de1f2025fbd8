package org.qlora4j.data;

/**
 * Prompt and answer as text, made from a record as qlora.py makes them (formats of {@code
 * format_dataset}).
 *
 * @param source what is given; masked unless {@code train_on_source}
 * @param target what is learnt
 */
record SourceTarget(String source, String target) {
    private static final String CHIP2_BOT = "\n<bot>: ";

    /**
     * Throws a {@code FormatException} naming file and line if a field is missing or of the wrong
     * type.
     */
    static SourceTarget of(Row row, DatasetFormat format) {
        return switch (format) {
            case ALPACA -> new SourceTarget(alpacaPrompt(row), row.text("output"));
            case INPUT_OUTPUT -> new SourceTarget(row.text("input"), row.text("output"));
            case PROMPT_COMPLETION -> new SourceTarget(row.text("prompt"), row.text("completion"));
            case HH_RLHF -> new SourceTarget("", row.text("chosen"));
            case OASST1 -> new SourceTarget("", row.text("text"));
            case CHIP2 -> chip2(row);
            case AUTO, MESSAGES ->
                    throw new IllegalArgumentException(format + " gives no source and target");
        };
    }

    /** The two prompts of Stanford Alpaca. */
    private static String alpacaPrompt(Row row) {
        String instruction = row.text("instruction");
        String input = row.textOrEmpty("input");
        boolean alone = input.isEmpty();
        return "Below is an instruction that describes a task"
                + (alone ? ". " : ", paired with an input that provides further context. ")
                + "Write a response that appropriately completes the request.\n\n### Instruction:\n"
                + instruction
                + (alone ? "" : "\n\n### Input:\n" + input)
                + "\n\n### Response: ";
    }

    private static SourceTarget chip2(Row row) {
        String[] parts = row.text("text").split(CHIP2_BOT, -1);
        if (parts.length < 2) {
            throw row.error(
                    "field text has no \"\\n<bot>: \", which ends the prompt in format chip2");
        }
        return new SourceTarget(parts[0].replace("<human>: ", ""), parts[1]);
    }
}
