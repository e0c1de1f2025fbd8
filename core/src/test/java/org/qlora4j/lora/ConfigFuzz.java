package org.qlora4j.lora;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.error.ConfigException;
import org.qlora4j.family.Families;
import org.qlora4j.testing.FuzzChild;
import org.qlora4j.testing.Mutation;
import org.qlora4j.testing.Strangers;

/** Mutated files of settings: a model's, an adapter's, a run's, and the list of shards. */
final class ConfigFuzz {
    private static final List<String> PIECES =
            List.of(
                    "null",
                    "true",
                    "-1",
                    "0",
                    "1",
                    "2147483648",
                    "1e400",
                    "18446744073709551616",
                    "\"\"",
                    "\"a\"",
                    "[]",
                    "[1]",
                    "{}",
                    "{\"a\": 1}",
                    "NaN",
                    "-Infinity",
                    "[[[[[[[[[[",
                    "]",
                    "}",
                    ",",
                    ":",
                    "\"",
                    "\\",
                    "\"\\ud800\"",
                    "\u0000",
                    "\"rope_scaling\": {\"rope_type\": \"llama3\"},",
                    "\"quantization_config\": {\"quant_method\": 5},",
                    "\"trainable_token_indices\": {\"embed_tokens\": [9]},",
                    "\"target_modules\": \"(?P<n>a*)*(?(n)b|c)\",",
                    "\"rank_pattern\": {\"(a|b)*\\\\1\": 3},",
                    "*",
                    "&a ",
                    "!!java.lang.Runtime ",
                    "- ",
                    "\n",
                    "  ",
                    "#",
                    "|",
                    "%");

    private ConfigFuzz() {}

    public static void main(String[] arguments) throws IOException {
        String model = Files.readString(Strangers.folder("base").resolve("config.json"));
        String adapter =
                Files.readString(Strangers.folder("peft-regex").resolve("adapter_config.json"));
        String index =
                Files.readString(Strangers.folder("torch").resolve("pytorch_model.bin.index.json"));
        String run =
                """
                version: 1
                model: {model_name_or_path: m, new_tokens: [a]}
                lora:
                  r: 4
                  target_modules: [q_proj]
                  rank_pattern: {q_proj: 2}
                data:
                  dataset:
                    - {path: a.jsonl, weight: 3}
                  columns: {user: q, assistant: a}
                train: {max_steps: 5, report_to: [html], lr_scheduler_type: linear}
                eval: {eval_strategy: steps, eval_steps: 5}
                """;
        Path folder = Files.createTempDirectory("fuzz");
        FuzzChild.main(
                arguments,
                seed -> {
                    Random random = new Random(seed);
                    switch (random.nextInt(4)) {
                        case 0 -> {
                            write(folder, "config.json", model, random);
                            Families.shape(folder);
                        }
                        case 1 -> {
                            Path file = write(folder, "adapter_config.json", adapter, random);
                            LoraConfig config = PeftConfigFile.read(file);
                            LoraAdapter.chooses(config, "model.layers.1.self_attn.q_proj");
                            config.scalingOf("model.layers.1.self_attn.q_proj");
                            PeftConfigFile.tokens(file, "embed_tokens");
                            PeftConfigFile.keepsHeadTied(file);
                        }
                        case 2 -> {
                            Path list =
                                    write(
                                            Files.createDirectories(folder.resolve("shards")),
                                            Checkpoint.TORCH_INDEX,
                                            index,
                                            random);
                            Checkpoint.open(list.resolveSibling(".").normalize()).close();
                        }
                        default -> settings(write(folder, "run.yaml", run, random));
                    }
                });
    }

    /** Reads a run's settings, whose errors are all told at once, a line each. */
    private static void settings(Path file) {
        try {
            RunConfigReader.read(file);
        } catch (ConfigException e) {
            String message = String.valueOf(e.getMessage());
            if (!message.lines().allMatch(line -> line.startsWith(file.toString()))) {
                throw new IllegalStateException(message);
            }
        }
    }

    private static Path write(Path folder, String name, String sound, Random random)
            throws IOException {
        byte[] text = Mutation.text(sound, PIECES, random).getBytes(StandardCharsets.UTF_8);
        return Files.write(
                folder.resolve(name),
                random.nextInt(10) == 0
                        ? Mutation.bytes(text.length == 0 ? new byte[1] : text, 0, random)
                        : text);
    }
}
