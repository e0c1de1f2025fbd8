package org.qlora4j.data;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;

/**
 * The fields a record must have and what is made of them. {@link #MESSAGES} and {@link #SHAREGPT}
 * are chats ({@link Chat}), {@link #TEXT} is learnt as it is, all others give sources (prompts) and
 * targets (answers), see {@link SourceTarget}. Names are qlora.py's {@code dataset_format} where it
 * has one. Layouts: docs/data.md.
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
    /** ShareGPT's chats: a list of {@code {from, value}}, in other respects as messages. */
    @JsonProperty("sharegpt")
    SHAREGPT("sharegpt", "conversations"),
    /**
     * Tasks with instances, each of which is an example in Alpaca's prompt: unnatural instructions
     * (with their reformulations) and the seed tasks of Self-Instruct.
     */
    @JsonProperty("unnatural-instructions")
    UNNATURAL_INSTRUCTIONS("unnatural-instructions", "instruction", "instances"),
    /** Stanford Alpaca, with its two prompts; {@code input} may be missing or empty. */
    @JsonProperty("alpaca")
    ALPACA("alpaca", "instruction", "output"),
    /** Prompt and answer under the names of Self-Instruct. */
    @JsonProperty("prompt-completion")
    PROMPT_COMPLETION("prompt-completion", "prompt", "completion"),
    /** Prompt and answer as they are; LongForm has these fields too. */
    @JsonProperty("input-output")
    INPUT_OUTPUT("input-output", "input", "output"),
    /** FLAN v2: prompt and answer as they are, under its names. */
    @JsonProperty("flan")
    FLAN("flan", "inputs", "targets"),
    /** A prompt and the answer to it that was preferred; the one rejected is not looked at. */
    @JsonProperty("preference")
    PREFERENCE("preference", "prompt", "chosen"),
    /** Anthropic's preferences: the chosen dialogue is the target, the source is empty. */
    @JsonProperty("hh-rlhf")
    HH_RLHF("hh-rlhf", "chosen"),
    /**
     * Open Assistant as Guanaco was trained on it: {@code ### Human: …### Assistant: …} in one
     * text, which is the target; the source is empty.
     */
    @JsonProperty("oasst1")
    OASST1("oasst1", "text"),
    /** OIG chip2: {@code <human>: …\n<bot>: …} in one text. */
    @JsonProperty("chip2")
    CHIP2("chip2", "text"),
    /** Plain text, all of it learnt; a long one goes on in the next example. */
    @JsonProperty("text")
    TEXT("text", "text"),
    /**
     * A text or two and the number of their class, for models that classify. Only where it is
     * named: text with a label may be meant to be learnt as text.
     */
    @JsonProperty("classification")
    CLASSIFICATION("classification", ClassEncoder.LABEL);

    /** Other names of formats: qlora.py's for its data sets, and what other trainers say. */
    private static final Map<String, DatasetFormat> ALIASES =
            Map.ofEntries(
                    Map.entry("alpaca-clean", ALPACA),
                    Map.entry("self-instruct", PROMPT_COMPLETION),
                    Map.entry("longform", INPUT_OUTPUT),
                    Map.entry("seed-tasks", UNNATURAL_INSTRUCTIONS),
                    Map.entry("openai", MESSAGES),
                    Map.entry("chat", MESSAGES),
                    Map.entry("conversations", SHAREGPT),
                    Map.entry("dpo", PREFERENCE),
                    Map.entry("flan-v2", FLAN),
                    Map.entry("raw", TEXT),
                    Map.entry("completion", TEXT));

    private final String key;

    @SuppressWarnings("ImmutableEnumChecker") // made by List.of
    private final List<String> fields;

    DatasetFormat(String key, String... fields) {
        this.key = key;
        this.fields = List.of(fields);
    }

    /**
     * The format of that name; a {@link ConfigException} whose message begins after the key, which
     * only the caller knows, if there is none.
     */
    @JsonCreator
    public static DatasetFormat parse(String name) {
        String plain = name.strip().toLowerCase(Locale.ROOT).replace('_', '-');
        for (DatasetFormat format : values()) {
            if (format.key.equals(plain)) {
                return format;
            }
        }
        DatasetFormat alias = ALIASES.get(plain);
        if (alias != null) {
            return alias;
        }
        if (plain.equals("vicuna")) {
            throw new ConfigException(QloraDataset.NO_VICUNA);
        }
        throw ConfigException.of(
                "must be %s, got %s",
                Stream.of(values()).map(DatasetFormat::key).collect(Collectors.joining(", ")),
                name);
    }

    /** The name in YAML and in messages. */
    public String key() {
        return key;
    }

    /** The fields that every record must have. */
    public List<String> fields() {
        return fields;
    }

    /** Whether records are chats by themselves, which only a chat template can make text. */
    boolean isChat() {
        return this == MESSAGES || this == SHAREGPT;
    }

    /** Whether a record has the fields of this format, and where formats share them, its marks. */
    private boolean matches(Row row) {
        if (this == AUTO || this == CLASSIFICATION || !row.fields().keySet().containsAll(fields)) {
            return false;
        }
        String text = row.fields().get("text") instanceof String t ? t : "";
        return switch (this) {
            case OASST1 -> Dialogue.OASST1.isIn(text);
            case CHIP2 -> text.contains(SourceTarget.CHIP2_BOT);
            case HH_RLHF -> Collections.disjoint(row.fields().keySet(), ColumnMap.QUESTIONS);
            default -> true;
        };
    }

    /** Whether the fields of a record are those of a format. */
    static boolean fits(Row row) {
        return find(row) != null;
    }

    private static @Nullable DatasetFormat find(Row row) {
        for (DatasetFormat format : values()) {
            if (format.matches(row)) {
                return format;
            }
        }
        return null;
    }

    /**
     * The format of a file by its first record: the first constant, in the order written here,
     * whose fields are all there. Throws a {@code FormatException} that names the record's fields
     * and what would do.
     */
    static DatasetFormat of(Row first) {
        DatasetFormat found = find(first);
        if (found != null) {
            return found;
        }
        Set<String> names = first.fields().keySet();
        String known =
                Stream.of(values())
                        .filter(f -> f != AUTO && f != CHIP2 && f != OASST1 && f != CLASSIFICATION)
                        .map(f -> String.join(" + ", f.fields))
                        .collect(Collectors.joining(", "));
        throw first.error(
                "the fields %s fit no known format; say which is which in data.columns, e.g. %s, or rename them to one of: %s",
                names, ColumnMap.example(first), known);
    }

    /** How {@link #of} came to its answer, for people. */
    String reason() {
        String marks =
                switch (this) {
                    case OASST1 -> " with ### Human:";
                    case CHIP2 -> " with <bot>:";
                    default -> "";
                };
        return "the first record has " + String.join(" and ", fields) + marks;
    }
}
