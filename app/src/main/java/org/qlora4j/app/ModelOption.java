package org.qlora4j.app;

import java.nio.file.Path;
import picocli.CommandLine.Option;

/** {@code --model}, in every command that takes one model and must be given it. */
final class ModelOption {
    @Option(
            names = "--model",
            required = true,
            paramLabel = "DIR|FILE.gguf",
            description =
                    "The model: a folder with config.json and tokenizer.json, or a GGUF file beside them.")
    Path path = Path.of("");
}
