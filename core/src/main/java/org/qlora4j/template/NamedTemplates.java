package org.qlora4j.template;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.qlora4j.error.FormatException;

/**
 * Chat templates for models that come without one. They are written for this program, after the
 * formats that the makers of those models published.
 */
public final class NamedTemplates {
    /** The word for the template that comes with the tokenizer. */
    public static final String OF_TOKENIZER = "tokenizer";

    /** What there is. */
    public static final List<String> NAMES =
            List.of(
                    "chatml", "llama2", "llama3", "mistral", "zephyr", "gemma", "phi3", "vicuna",
                    "alpaca", "guanaco");

    private NamedTemplates() {}

    /**
     * The text of a template.
     *
     * @param nameOrFile one of {@link #NAMES}, or the path of a Jinja file
     * @throws FormatException if it is neither
     */
    public static TemplateText read(String nameOrFile) {
        if (NAMES.contains(nameOrFile)) {
            String origin = "templates/" + nameOrFile + ".jinja";
            try (InputStream in = NamedTemplates.class.getResourceAsStream(origin)) {
                byte[] bytes = Objects.requireNonNull(in, origin).readAllBytes();
                return new TemplateText(
                        new String(bytes, StandardCharsets.UTF_8), "chat template " + nameOrFile);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        try {
            Path file = Path.of(nameOrFile);
            if (Files.isRegularFile(file)) {
                return new TemplateText(text(file), file.toString());
            }
        } catch (InvalidPathException notAPath) {
            // said below
        }
        throw FormatException.of(
                "data.chat_template %s is neither a file nor a known name; there are %s and, for the model's own, %s",
                nameOrFile, String.join(", ", NAMES), OF_TOKENIZER);
    }

    private static String text(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new FormatException(file + " cannot be read as UTF-8 text: " + e.getMessage(), e);
        }
    }
}
