package org.qlora4j.data;

import com.fasterxml.jackson.annotation.JsonAlias;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The fields a record must have and what is made of them. All but {@link #MESSAGES} give a source
 * (prompt) and a target (answer), see {@link SourceTarget}; the names are qlora.py's {@code
 * dataset_format}.
 */
public enum DatasetFormat {
    /** Told from the fields of the first record. */
    @JsonProperty("auto")
    AUTO("auto"),
    /**
     * OpenAI's chats: a list of {@code {role, content}}, made text by the model's chat template.
     */
    @JsonProperty("messages")
    MESSAGES("messages", "messages"),
    /** Stanford Alpaca, with its two prompts; {@code input} may be missing or empty. */
    @JsonProperty("alpaca")
    @JsonAlias("alpaca-clean")
    ALPACA("alpaca", "instruction", "output"),
    /** Prompt and answer under the names of Self-Instruct. */
    @JsonProperty("prompt-completion")
    @JsonAlias("self-instruct")
    PROMPT_COMPLETION("prompt-completion", "prompt", "completion"),
    /** Prompt and answer as they are. */
    @JsonProperty("input-output")
    INPUT_OUTPUT("input-output", "input", "output"),
    /** Anthropic's preferences: the chosen dialogue is the target, the source is empty. */
    @JsonProperty("hh-rlhf")
    HH_RLHF("hh-rlhf", "chosen"),
    /**
     * Open Assistant as Guanaco was trained on it: the whole text is the target, the source is
     * empty.
     */
    @JsonProperty("oasst1")
    OASST1("oasst1", "text"),
    /**
     * OIG chip2: {@code <human>: …\n<bot>: …} in one text. Never found by itself, for its field is
     * that of oasst1.
     */
    @JsonProperty("chip2")
    CHIP2("chip2", "text");

    private final String key;

    @SuppressWarnings("ImmutableEnumChecker") // made by List.of
    private final List<String> fields;

    DatasetFormat(String key, String... fields) {
        this.key = key;
        this.fields = List.of(fields);
    }

    /** The name in YAML and in messages. */
    public String key() {
        return key;
    }

    /** The fields that every record must have. */
    public List<String> fields() {
        return fields;
    }

    /**
     * The format of a file by its first record: the first constant, in the order written here,
     * whose fields are all there. Throws a {@code FormatException} that names the record's fields
     * and what would do.
     */
    static DatasetFormat of(Row first) {
        Map<String, Object> fields = first.fields();
        for (DatasetFormat format : values()) {
            if (format != AUTO && fields.keySet().containsAll(format.fields)) {
                return format;
            }
        }
        String known =
                Stream.of(values())
                        .filter(f -> f != AUTO && f != CHIP2)
                        .map(f -> String.join(" + ", f.fields))
                        .collect(Collectors.joining(", "));
        String hint =
                fields.containsKey("conversations")
                        ? "; ShareGPT's conversations [{from, value}] must become messages [{role, content}]"
                        : "";
        throw first.error(
                "the fields %s fit no known format; rename them to one of: %s%s",
                fields.keySet(), known, hint);
    }
}
