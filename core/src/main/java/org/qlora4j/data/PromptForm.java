package org.qlora4j.data;

import org.jspecify.annotations.Nullable;

/**
 * The text around a prompt in training. Whoever asks the model afterwards must write it too: it is
 * saved beside the adapter as a chat template, which Python tools read as well.
 */
public enum PromptForm {
    /** The model's chat template, or one that the settings name. */
    CHAT(null, ""),
    /** Text without prompts, which is continued as it stands. */
    RAW(null, ""),
    /** Nothing around it. */
    PLAIN("{{ m['content'] }}", ""),
    /** The prompt of Stanford Alpaca for an instruction without input. */
    ALPACA(
            "Below is an instruction that describes a task. Write a response that appropriately completes the request."
                    + "{{ '\\n\\n' }}### Instruction:{{ '\\n' + m['content'] + '\\n\\n' }}### Response: ",
            ""),
    /** Open Assistant as Guanaco was trained on it. */
    GUANACO("### Human: {{ m['content'] }}", "### Assistant:"),
    /** Dialogues of Anthropic's preferences. */
    HH_RLHF("{{ '\\n\\n' }}Human: {{ m['content'] }}", "{{ '\\n\\n' }}Assistant:");

    private final @Nullable String user;
    private final String opening;

    /**
     * @param user a user's message m; null where there is no form of this library
     * @param opening what an answer follows
     */
    PromptForm(@Nullable String user, String opening) {
        this.user = user;
        this.opening = opening;
    }

    /** The form in which records of a format are written that are no chats. */
    static PromptForm of(DatasetFormat format) {
        return switch (format) {
            case MESSAGES, SHAREGPT -> CHAT;
            case TEXT, CLASSIFICATION -> RAW;
            case ALPACA, UNNATURAL_INSTRUCTIONS -> ALPACA;
            case OASST1 -> GUANACO;
            case HH_RLHF -> HH_RLHF;
            case AUTO, PROMPT_COMPLETION, INPUT_OUTPUT, FLAN, PREFERENCE, CHIP2 -> PLAIN;
        };
    }

    /**
     * A Jinja template that writes a chat in this form.
     *
     * @param bos whether training put the tokenizer's BOS before prompts
     * @return null for {@link #CHAT} and {@link #RAW}
     */
    public @Nullable String template(boolean bos) {
        if (user == null) {
            return null;
        }
        String answer = opening.isEmpty() ? "{{ m['content'] }}" : opening + " {{ m['content'] }}";
        return (bos ? "{{ bos_token }}" : "")
                + "{% for m in messages %}{% if m['role'] == 'user' %}"
                + user
                + "{% elif m['role'] == 'assistant' %}"
                + answer
                + "{{ eos_token }}{% else %}{{ raise_exception('the adapter learnt prompts and answers alone, no messages of the role '"
                + " + m['role']) }}{% endif %}{% endfor %}"
                + (opening.isEmpty()
                        ? ""
                        : "{% if add_generation_prompt %}" + opening + "{% endif %}");
    }

    /** Its name in a sentence. */
    public String words() {
        return this == PLAIN ? "as they stand in the data" : "in the form of " + this;
    }

    @Override
    public String toString() {
        return switch (this) {
            case ALPACA -> "Alpaca";
            case GUANACO -> "Guanaco";
            case HH_RLHF -> "hh-rlhf";
            case CHAT, RAW, PLAIN -> name();
        };
    }
}
