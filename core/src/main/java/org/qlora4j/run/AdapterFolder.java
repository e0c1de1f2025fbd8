package org.qlora4j.run;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.data.ChatSettings;
import org.qlora4j.data.DataConfig;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Notice;
import org.qlora4j.error.UserException;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.Labels;
import org.qlora4j.template.NamedTemplates;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Where an adapter lies, and what is known of its training: the settings of the run, where it is a
 * checkpoint of one.
 *
 * @param files the folder with PEFT's files
 * @param settings of its run; null if it is of none
 */
public record AdapterFolder(Path files, @Nullable RunConfig settings) {
    private static final String TEMPLATE = "chat_template.jinja";

    /**
     * Finds an adapter.
     *
     * @param folder with PEFT's files, or of a run, whose newest whole checkpoint is taken
     * @throws FormatException if there is none
     */
    public static AdapterFolder of(Path folder) {
        Path files = files(folder);
        return new AdapterFolder(files, trainedOn(files));
    }

    private static Path files(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw FormatException.of("%s is no folder; name that of a PEFT adapter", folder);
        }
        if (Files.exists(folder.resolve(PeftAdapter.CONFIG_FILE))
                || !Files.exists(folder.resolve("config.yaml"))) {
            return folder;
        }
        return new RunFolder(folder)
                .newestWhole()
                .map(RunCheckpoint::folder)
                .orElseThrow(() ->
                        FormatException.of(
                                "%s is a run that has saved no whole checkpoint; train on with"
                                        + " --resume",
                                folder));
    }

    private static @Nullable RunConfig trainedOn(Path adapter) {
        Path run = adapter.toAbsolutePath().getParent();
        Path settings = run == null ? null : run.resolve("config.yaml");
        String name = String.valueOf(adapter.getFileName());
        if (settings == null || !name.startsWith("checkpoint-") || !Files.exists(settings)) {
            return null;
        }
        try {
            return RunConfigReader.read(settings);
        } catch (UserException e) { // another tool's
            Notice.say(
                    "%s is not read, for it is not this program's (%s); chats are written as the model's own template does"
                            .formatted(
                                    settings,
                                    String.valueOf(e.getMessage()).lines().findFirst().orElse("")));
            return null;
        }
    }

    /** The settings of the data it was trained on; null if it is of no run. */
    public @Nullable DataConfig data() {
        return settings == null ? null : settings.data();
    }

    /**
     * The chat template that it was trained with: the file beside it, as Python tools write it, or
     * what the settings of its run name; else {@link NamedTemplates#OF_TOKENIZER}.
     */
    public String chatTemplate() {
        Path file = files.resolve(TEMPLATE);
        if (Files.isRegularFile(file)) {
            return file.toString();
        }
        DataConfig data = data();
        return data == null || data.chatTemplate() == null
                ? NamedTemplates.OF_TOKENIZER
                : data.chatTemplate();
    }

    /** The tokenizer beside it, which knows its new tokens; null if there is none. */
    public @Nullable Tokenizer tokenizer() {
        return Files.isRegularFile(files.resolve("tokenizer.json")) ? Tokenizer.load(files) : null;
    }

    /** The classes of the head that it brings; those of the model if it brings none. */
    public Labels labels() {
        OptionalInt outputs = PeftAdapter.labels(files);
        if (outputs.isEmpty()) {
            return Labels.OF_CONFIG;
        }
        List<String> names = settings == null ? List.of() : settings.model().labelNames();
        boolean fit = names.size() == outputs.getAsInt();
        return new Labels(outputs.getAsInt(), fit ? names : List.of());
    }

    /** How chats are written for it. */
    public ChatSettings chats() {
        DataConfig data = data();
        return data == null ? ChatSettings.DEFAULT : ChatSettings.of(data);
    }

    /** The text of {@link #chatTemplate}; null for the tokenizer's own. */
    public @Nullable String chatTemplateText() {
        String name = chatTemplate();
        return name.equals(NamedTemplates.OF_TOKENIZER) ? null : NamedTemplates.read(name).text();
    }
}
