package org.qlora4j.app;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.ConfigMapper;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Nearest;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.exc.UnrecognizedPropertyException;

/**
 * A whole evaluation in one YAML file: what is finetuned, who answers which questions, who judges,
 * which tasks are asked. Options are those of the commands that it stands for; a word that names a
 * file beside this one is taken from there.
 *
 * @param version 1
 * @param out folder for everything, from the file's own folder
 * @param train settings of a run that is trained first; null for none
 * @param systems who answers, by name
 * @param questions as for qlora eval chat; null for no chat and no judge
 * @param chat options of qlora eval chat
 * @param judge options of qlora eval judge
 * @param tasks tasks and options of qlora eval compare, of each system with an adapter
 */
record EvaluationFile(
        int version,
        String out,
        @Nullable String train,
        Map<String, Chatbot> systems,
        @Nullable String questions,
        @Nullable String chat,
        @Nullable String judge,
        @Nullable String tasks) {
    /**
     * A system that answers.
     *
     * @param model as --model
     * @param adapter as --adapter; null for none
     * @param trained whether it bears the adapter of the run that is trained first
     * @param address as --address; null for a model of this machine
     */
    record Chatbot(
            String model, @Nullable String adapter, boolean trained, @Nullable String address) {}

    /**
     * A command to run.
     *
     * @param args of qlora
     * @param out takes what it prints; null for the terminal
     * @param again whether it is run each time: it takes a moment, and shows what there is
     */
    record Step(List<String> args, @Nullable Path out, boolean again) {}

    /** Reads a file. */
    static EvaluationFile read(Path file) {
        if (!Files.isRegularFile(file)) {
            throw ConfigException.of("%s does not exist; name a YAML file of an evaluation", file);
        }
        EvaluationFile read;
        try {
            read = ConfigMapper.YAML.readValue(file, EvaluationFile.class);
        } catch (UnrecognizedPropertyException e) {
            throw unknown(file, e);
        } catch (JacksonException e) {
            throw new FormatException(
                    "%s: %s".formatted(file, Failure.oneLine(e.getOriginalMessage())), e);
        }
        read.check(file);
        return read;
    }

    private static FormatException unknown(Path file, UnrecognizedPropertyException e) {
        List<String> known = new ArrayList<>();
        e.getKnownPropertyIds().forEach(id -> known.add(String.valueOf(id)));
        String nearest = Nearest.of(e.getPropertyName(), known);
        return new FormatException(
                "%s%s: unknown key %s%s"
                        .formatted(
                                file,
                                lineOf(file, e.getPropertyName()),
                                e.getPropertyName(),
                                nearest == null
                                        ? "; there are " + String.join(", ", known)
                                        : "; did you mean " + nearest + "?"),
                e);
    }

    /** The first line that sets a key, which Jackson does not know for YAML; empty if not found. */
    private static String lineOf(Path file, String key) {
        try {
            List<String> lines = Files.readAllLines(file);
            for (int i = 0; i < lines.size(); i++) {
                if (lines.get(i).contains(key + ":")) {
                    return ":" + (i + 1);
                }
            }
        } catch (IOException e) {
            // the key alone must do
        }
        return "";
    }

    private void check(Path file) {
        if (version != 1) {
            throw ConfigException.of("%s: version must be 1, got %d", file, version);
        }
        if (out == null || systems == null || systems.isEmpty()) {
            throw ConfigException.of("%s: out and systems must be given", file);
        }
        systems.forEach((name, bot) -> {
            if (bot.model() == null) {
                throw ConfigException.of("%s: systems.%s has no model", file, name);
            }
            if (bot.trained() && (train == null || bot.adapter() != null)) {
                throw ConfigException.of(
                        "%s: systems.%s is trained; that needs train, and no adapter of its own",
                        file, name);
            }
        });
    }

    /** The commands that it stands for, in their order. */
    List<Step> steps(Path file) {
        Path beside =
                Objects.requireNonNull(
                        file.toAbsolutePath().normalize().getParent(), "a file lies in a folder");
        Path folder = folder(file);
        List<Step> steps = new ArrayList<>();
        if (train != null) {
            String settings = beside.resolve(train).normalize().toString();
            List<String> args =
                    words("train", settings, "train.output_dir=" + folder.resolve("trained"));
            steps.add(new Step(args, null, false));
        }
        Path answers = folder.resolve("answers");
        Path ratings = folder.resolve("ratings");
        List<String> report =
                words("eval", "report", "--out", folder.resolve("report.html"), "--overwrite");
        if (questions != null) {
            Path asked = beside.resolve(questions).normalize();
            systems.forEach((name, bot) ->
                    steps.add(
                            new Step(
                                    chat(
                                            asked,
                                            answers.resolve(name + ".jsonl"),
                                            bot,
                                            beside,
                                            folder),
                                    null,
                                    false)));
            List<String> args =
                    words(
                            "eval",
                            "judge",
                            "--questions",
                            asked,
                            "--answers",
                            answers,
                            "--out",
                            ratings);
            args.addAll(options(judge, beside));
            steps.add(new Step(args, null, false));
            steps.add(new Step(words("eval", "elo", "--ratings", ratings), null, true));
            report.addAll(words("--ratings", ratings, "--answers", answers));
        }
        if (tasks != null) {
            systems.forEach((name, bot) -> {
                if (bot.trained() || bot.adapter() != null) {
                    Path to = folder.resolve("compare-" + name + ".json");
                    List<String> args = words("eval", "compare");
                    args.addAll(options(tasks, beside));
                    args.addAll(model(bot, beside, folder));
                    args.add("--json");
                    steps.add(new Step(args, to, false));
                    report.addAll(words("--comparison", to));
                }
            });
        }
        if (questions != null) {
            steps.add(new Step(report, null, true));
        }
        return steps;
    }

    private List<String> chat(Path asked, Path to, Chatbot bot, Path beside, Path folder) {
        List<String> args = words("eval", "chat", asked, "--out", to, "--overwrite");
        args.addAll(model(bot, beside, folder));
        args.addAll(options(chat, beside));
        return args;
    }

    private static List<String> model(Chatbot bot, Path beside, Path folder) {
        List<String> args = words("--model", found(bot.model(), beside));
        if (bot.trained()) {
            args.addAll(words("--adapter", folder.resolve("trained")));
        } else if (bot.adapter() != null) {
            args.addAll(words("--adapter", beside.resolve(bot.adapter()).normalize()));
        }
        if (bot.address() != null) {
            args.addAll(words("--address", bot.address()));
        }
        return args;
    }

    private static List<String> options(@Nullable String words, Path beside) {
        List<String> out = new ArrayList<>();
        for (String word : words == null ? new String[0] : words.strip().split("\\s+")) {
            if (!word.isEmpty()) {
                out.add(found(word, beside));
            }
        }
        return out;
    }

    private static String found(String word, Path beside) {
        Path path = beside.resolve(word);
        return !word.startsWith("-") && Files.exists(path) ? path.normalize().toString() : word;
    }

    private static List<String> words(Object... args) {
        List<String> out = new ArrayList<>();
        for (Object arg : args) {
            out.add(arg.toString());
        }
        return out;
    }

    /** The folder for everything. */
    Path folder(Path file) {
        return file.toAbsolutePath().resolveSibling(out).normalize();
    }
}
