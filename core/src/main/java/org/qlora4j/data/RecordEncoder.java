package org.qlora4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.FormatException;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Makes examples of the records of one file: its format is told once, from the first record or the
 * settings, and holds for all that follow. Each record is counted, and of the first ones is tried
 * whether their tokens say what they should.
 */
final class RecordEncoder {
    /** Decoding takes as long as encoding; faults of a tokenizer or template show early. */
    static final int ROUND_TRIPS = 1000;

    private final DatasetFormat format;
    private final String description;
    private final PromptForm form;
    private final ExampleEncoder encoder;
    private final Tokenizer tokenizer;
    private final DataStats.Counter counter;
    private final boolean skips;
    private int tried;

    /**
     * For the file that a record is the first of.
     *
     * @param told the format, or that the record tells it
     * @param special tokens put around text
     * @param layout how the model takes an example
     * @param template the chat template, null if there is none
     * @param counter takes what becomes of records
     */
    RecordEncoder(
            Row first,
            ToldFormat told,
            DataConfig config,
            Tokenizer tokenizer,
            SpecialIds special,
            Layout layout,
            @Nullable ChatRenderer template,
            DataStats.Counter counter) {
        this.format = told.isTold() ? told.format() : DatasetFormat.of(first);
        boolean chat =
                format != DatasetFormat.CLASSIFICATION
                        && (format.isChat()
                                || config.chatTemplate() != null
                                || ChatReader.isConversational(first, format));
        this.description =
                "%s: format %s (%s)%s"
                        .formatted(
                                first.file(),
                                format.key(),
                                told.isTold() ? told.reason() : format.reason(),
                                chat && config.chatTemplate() != null
                                        ? ", chat template " + config.chatTemplate()
                                        : "");
        this.form = chat ? PromptForm.CHAT : PromptForm.of(format);
        this.tokenizer = tokenizer;
        this.counter = counter;
        this.skips = config.onBadData() == BadData.SKIP;
        if (chat && template == null) {
            throw first.error(
                    "records are chats, but the model has no chat template; name one with data.chat_template (such as chatml),"
                            + " or put chat_template.jinja beside its tokenizer.json");
        }
        boolean pairs = layout instanceof Layout.SourceAndTarget;
        if (pairs && !chat && !hasPrompt(format)) {
            throw first.error(
                    "records of format %s have no prompt, but the model answers a source; data.chat_template (such as guanaco) makes"
                            + " turns of the dialogues of oasst1 and hh-rlhf",
                    format.key());
        }
        if (chat && template != null) {
            ExampleEncoder chats = new ChatEncoder(format, config, tokenizer, special, template);
            this.encoder = pairs ? new AnswerPairs(chats, special.eos()) : chats;
        } else {
            this.encoder =
                    layout instanceof Layout.Classes classes
                            ? new ClassEncoder(config, tokenizer, special, classes)
                            : format == DatasetFormat.TEXT
                                    ? new TextEncoder(config, tokenizer, special)
                                    : new SourceTargetEncoder(
                                            format, config, tokenizer, special, pairs);
        }
    }

    private static boolean hasPrompt(DatasetFormat format) {
        return switch (format) {
            case TEXT, HH_RLHF, OASST1 -> false;
            default -> true;
        };
    }

    /** What stands around prompts. */
    PromptForm form() {
        return form;
    }

    /** File, format and how it was found, for people. */
    String description() {
        return description;
    }

    /**
     * The examples of some records that have something to learn, nearly always one of each, in
     * their order; a {@code FormatException} naming file and line of the first that has a fault,
     * unless faults are to be skipped.
     */
    List<Example> encode(List<Row> rows) {
        List<Supplier<List<ExampleEncoder.Encoded>>> encoded =
                rows.parallelStream().map(this::attempt).toList();
        List<Example> kept = new ArrayList<>();
        for (Supplier<List<ExampleEncoder.Encoded>> one : encoded) {
            keep(one.get(), kept);
        }
        return kept;
    }

    /** The examples of a record, or the fault that it has, to be thrown in its turn. */
    private Supplier<List<ExampleEncoder.Encoded>> attempt(Row row) {
        try {
            List<ExampleEncoder.Encoded> encoded = encoder.encode(row);
            return () -> encoded;
        } catch (RuntimeException e) {
            RuntimeException placed = placed(row, e);
            return () -> {
                if (!skips || !(placed instanceof FormatException)) {
                    throw placed;
                }
                counter.fault(String.valueOf(placed.getMessage()));
                return List.of();
            };
        }
    }

    /** A tokenizer knows no lines: the place goes before what it says. */
    private static RuntimeException placed(Row row, RuntimeException e) {
        String place = row.file() + ":" + row.line() + ": ";
        String message = String.valueOf(e.getMessage());
        if (message.startsWith(place)) {
            return e;
        }
        return switch (e) {
            case FormatException format -> new FormatException(place + message, format);
            case DeviceException device -> new DeviceException(place + message, device);
            default -> e;
        };
    }

    /** Counts the examples of a record, and adds those with something to learn. */
    private void keep(List<ExampleEncoder.Encoded> encoded, List<Example> kept) {
        if (encoded.isEmpty()) {
            return; // told as a fault
        }
        counter.record(encoded);
        for (ExampleEncoder.Encoded one : encoded) {
            Example example = one.example();
            if (example.labelTokens() == 0) {
                counter.drop(example);
                continue;
            }
            counter.keep(example);
            kept.add(example);
            if (tried < ROUND_TRIPS && !one.text().isEmpty()) {
                tried++;
                counter.roundTrip(example, saysWhatItShould(one));
            }
        }
    }

    private boolean saysWhatItShould(ExampleEncoder.Encoded one) {
        int[] ids = one.example().ids();
        String said =
                tokenizer.decode(Arrays.copyOf(ids, one.border()), false)
                        + tokenizer.decode(
                                Arrays.copyOfRange(ids, one.border(), ids.length), false);
        // The last character of a cut example may be cut too; it decodes to U+FFFD.
        return one.example().truncated()
                ? one.text().startsWith(said.replaceFirst("\uFFFD+$", ""))
                : said.equals(one.text());
    }
}
