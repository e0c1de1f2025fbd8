package org.qlora4j;

import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.data.ChatSettings;
import org.qlora4j.data.DataConfig;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Notice;
import org.qlora4j.error.UserException;
import org.qlora4j.run.RunCheckpoint;
import org.qlora4j.run.RunFolder;
import org.qlora4j.template.NamedTemplates;
import org.qlora4j.tokenize.Tokenizer;

/**
 * The files of an adapter, and how chats are written for it.
 *
 * @param files folder of a PEFT adapter
 * @param trainedOn what the run says that it is a checkpoint of; null if it is of none
 */
record AdapterFolder(Path files, @Nullable DataConfig trainedOn) {
    /**
     * Finds an adapter.
     *
     * @param folder of a PEFT LoRA adapter, or of a run, whose newest whole checkpoint is taken
     * @throws FormatException if it is neither
     */
    static AdapterFolder of(Path folder) {
        Path files = files(folder);
        return new AdapterFolder(files, trainedOn(files));
    }

    private static Path files(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw FormatException.of("%s is no folder; name that of a PEFT adapter", folder);
        }
        if (Files.exists(folder.resolve("adapter_config.json"))
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

    private static @Nullable DataConfig trainedOn(Path adapter) {
        Path run = adapter.toAbsolutePath().getParent();
        Path settings = run == null ? null : run.resolve("config.yaml");
        String name = String.valueOf(adapter.getFileName());
        if (settings == null || !name.startsWith("checkpoint-") || !Files.exists(settings)) {
            return null;
        }
        try {
            return RunConfigReader.read(settings).data();
        } catch (UserException e) { // another tool's
            Notice.say(
                    "%s is not read, for it is not this program's (%s); chats are written as the model's own template does"
                            .formatted(settings, e.getMessage()));
            return null;
        }
    }

    /** The tokenizer beside it, which knows its new tokens; null if there is none. */
    @Nullable Tokenizer tokenizer() {
        return Files.isRegularFile(files.resolve("tokenizer.json")) ? Tokenizer.load(files) : null;
    }

    /**
     * The chat template that it was trained with: the file beside it, as Python tools write it, or
     * what the settings of its run name; else the tokenizer's.
     */
    String chatTemplate() {
        Path file = files.resolve("chat_template.jinja");
        if (Files.isRegularFile(file)) {
            return file.toString();
        }
        return trainedOn == null || trainedOn.chatTemplate() == null
                ? NamedTemplates.OF_TOKENIZER
                : trainedOn.chatTemplate();
    }

    ChatSettings chats() {
        return trainedOn == null ? ChatSettings.DEFAULT : ChatSettings.of(trainedOn);
    }
}
