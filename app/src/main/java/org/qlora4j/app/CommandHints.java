package org.qlora4j.app;

import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What to type in place of a command that other tools have. A word that becomes a command here
 * never comes so far, and may leave the table.
 */
final class CommandHints {
    private static final String TRAIN = "use qlora train CONFIG.yaml";
    private static final String GENERATE =
            "use qlora generate --model MODEL --adapter RUN_FOLDER --prompt TEXT";
    private static final String HELP = "use qlora --help, or qlora train --help";
    private static final String MERGE =
            "use qlora merge --model MODEL --adapter RUN_FOLDER --out DIR";
    private static final String EXPORT =
            "use qlora export --model MODEL --adapter RUN_FOLDER --format gguf --type Q4_K_M --out FILE.gguf";
    private static final String SERVER = "use qlora serve --model MODEL";
    private static final String EVALUATION =
            "use qlora perplexity for the loss on a file, eval.predict_with_generate=true with qlora train for answers"
                    + " that are exactly right, qlora eval for the ratings of judges";
    private static final String INSPECT = "use qlora data inspect DATA --model MODEL";
    private static final String DOWNLOAD =
            "give the name org/name as --model; it is downloaded when it is first used";

    private static final Map<String, String> HINTS =
            Map.ofEntries(
                    Map.entry("help", HELP),
                    Map.entry("usage", HELP),
                    Map.entry("commands", HELP),
                    Map.entry("version", "use qlora --version"),
                    Map.entry("finetune", TRAIN),
                    Map.entry("fine-tune", TRAIN),
                    Map.entry("fit", TRAIN),
                    Map.entry("sft", TRAIN),
                    Map.entry("lora", TRAIN),
                    Map.entry("run", TRAIN + ", or qlora generate"),
                    Map.entry("resume", "use qlora train RUN_FOLDER --resume"),
                    Map.entry("infer", GENERATE),
                    Map.entry("inference", GENERATE),
                    Map.entry("predict", GENERATE),
                    Map.entry("ask", GENERATE),
                    Map.entry("merge-lora", MERGE),
                    Map.entry("merge-and-unload", MERGE),
                    Map.entry("fuse", MERGE),
                    Map.entry("gguf", EXPORT),
                    Map.entry("convert", EXPORT),
                    Map.entry("ollama", EXPORT),
                    Map.entry("server", SERVER),
                    Map.entry("api", SERVER),
                    Map.entry("webui", SERVER),
                    Map.entry("webchat", SERVER),
                    Map.entry("evaluate", EVALUATION),
                    Map.entry("test", EVALUATION),
                    Map.entry("inspect", INSPECT),
                    Map.entry("preprocess", INSPECT),
                    Map.entry("sample", "use qlora data sample"),
                    Map.entry("info", "use qlora doctor"),
                    Map.entry("env", "use qlora doctor"),
                    Map.entry("benchmark", "use qlora bench"),
                    Map.entry("memory", "use qlora plan CONFIG.yaml"),
                    Map.entry("estimate", "use qlora plan CONFIG.yaml"),
                    Map.entry("ppl", "use qlora perplexity"),
                    Map.entry("distill", TRAIN + " with distill.teacher=MODEL"),
                    Map.entry("download", DOWNLOAD),
                    Map.entry("pull", DOWNLOAD));

    private CommandHints() {}

    /** What to type in place of a word that is no command, or null where nobody knows it. */
    static @Nullable String of(String word) {
        return HINTS.get(word.toLowerCase(Locale.ROOT).replace('_', '-'));
    }
}
