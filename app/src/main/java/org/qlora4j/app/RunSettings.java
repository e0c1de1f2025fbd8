package org.qlora4j.app;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.Overrides;
import org.qlora4j.config.Preset;
import org.qlora4j.config.QloraFlags;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.error.ConfigException;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Settings of a run on the command line, the same in every command that takes them. */
final class RunSettings {
    private static final String KEEP = "quantization.keep_quantization";

    @Parameters(
            paramLabel = "CONFIG.yaml|key=value",
            description =
                    "Settings: a file or a run folder first, then words and qlora.py's flags.")
    List<String> words = new ArrayList<>();

    @Option(
            names = "--preset",
            paramLabel = "NAME",
            description =
                    "Begin from the settings of that name: paper trains 10000 steps where no number is given, as"
                            + " qlora.py does; its own flags imply it.")
    @Nullable String preset;

    @Option(
            names = "--keep-quantization",
            description =
                    "Keep the linear weights of a GGUF file in the blocks it stores, in place of 4 bits.")
    boolean keepsQuantization;

    /** Whether the first word names a file: a word of settings holds {@code =}, a flag a dash. */
    boolean nameAFile() {
        return !words.isEmpty()
                && !words.getFirst().contains("=")
                && !words.getFirst().startsWith("-");
    }

    /**
     * The settings of file and words.
     *
     * @param more settings that the command's own options stand for; they win
     * @param notices takes lines about flags that mean something else here, or nothing
     */
    RunConfig read(List<Overrides.Setting> more, Consumer<String> notices) {
        List<String> rest = new ArrayList<>(words);
        Path file = nameAFile() ? Path.of(rest.removeFirst()) : null;
        List<Overrides.Setting> flags = new ArrayList<>(more);
        if (keepsQuantization) {
            String flag = "--keep-quantization";
            flags.add(new Overrides.Setting(KEEP, "true", false, flag));
        }
        Overrides typed = QloraFlags.parse(rest, flags);
        Overrides overrides = preset == null ? typed : typed.over(Preset.of(preset));
        overrides.notices().forEach(notices);
        return file == null ? RunConfigReader.of(overrides) : readFile(file, overrides);
    }

    /**
     * Settings of a file, or of the run that a folder holds.
     *
     * @throws ConfigException if there is no such file
     */
    static RunConfig readFile(Path fileOrRun, Overrides overrides) {
        Path file = Files.isDirectory(fileOrRun) ? fileOrRun.resolve("config.yaml") : fileOrRun;
        if (!Files.isRegularFile(file)) {
            throw ConfigException.of(
                    "%s does not exist; name a YAML file with settings, or give them as key=value",
                    file);
        }
        return RunConfigReader.read(file, overrides);
    }
}
