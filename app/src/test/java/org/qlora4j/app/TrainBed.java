package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** A folder with a copy of the tiny model and some data, on which {@code qlora train} is tried. */
final class TrainBed {
    private static final Path RESOURCES = Path.of("../core/src/test/resources");

    private final Path folder;
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    TrainBed(Path folder) {
        this.folder = folder;
        try {
            Files.createDirectory(model());
            for (String name :
                    List.of(
                            "config.json",
                            "generation_config.json",
                            "model.safetensors",
                            "tokenizer.json",
                            "tokenizer_config.json",
                            "chat_template.jinja")) {
                Files.copy(RESOURCES.resolve("tiny-llama").resolve(name), model(name));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 8; i++) {
            lines.append("{\"input\": \"say %d: \", \"output\": \"xyxy\"}%n".formatted(i));
        }
        write(data(), lines.toString());
    }

    /** Of core's tests. */
    static Path resource(String name) {
        return RESOURCES.resolve(name);
    }

    Path folder() {
        return folder;
    }

    Path model() {
        return folder.resolve("model");
    }

    Path model(String file) {
        return model().resolve(file);
    }

    Path data() {
        return folder.resolve("data.jsonl");
    }

    /** The run folder, which is not there. */
    Path run() {
        return folder.resolve("run");
    }

    static void write(Path file, String text) {
        try {
            Files.writeString(file, text);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** {@code qlora train} on this bed's model, data and run folder, for a process of its own. */
    List<String> words(String... settings) {
        List<String> words = new ArrayList<>(List.of("train", "--model", model().toString()));
        words.addAll(List.of("--data", data().toString(), "--out", run().toString(), "lora.r=4"));
        words.addAll(List.of(settings));
        return words;
    }

    /** Two steps with this bed's model, data and run folder, unless the arguments say otherwise. */
    int train(String... arguments) {
        List<String> all = new ArrayList<>(List.of("train"));
        Map<String, Object> flags =
                Map.of("--model", model(), "--data", data(), "--out", run(), "--steps", 2);
        flags.forEach((flag, value) -> {
            if (!List.of(arguments).contains(flag)) {
                all.add(flag);
                all.add(value.toString());
            }
        });
        all.add("lora.r=4");
        all.add("train.gradient_accumulation_steps=1");
        all.addAll(List.of(arguments));
        return command(all.toArray(String[]::new));
    }

    int command(String... arguments) {
        out.getBuffer().setLength(0);
        err.getBuffer().setLength(0);
        return Main.run(arguments, new PrintWriter(out, true), new PrintWriter(err, true));
    }

    String out() {
        return out.toString();
    }

    List<String> err() {
        return err.toString().lines().toList();
    }

    /** Trains, which must end in exit code 2 and one line with these parts, and change no file. */
    void assertRefused(List<String> arguments, Object... parts) {
        Map<String, String> before = files();
        int code = train(arguments.toArray(String[]::new));
        assertOneLine(code, parts);
        assertThat(files()).isEqualTo(before);
    }

    void assertOneLine(int code, Object... parts) {
        assertThat(err()).as("stderr").hasSize(1);
        assertThat(code).as(err().getFirst()).isEqualTo(ExitCode.USER_ERROR);
        assertThat(err().getFirst()).startsWith("qlora: ").doesNotContain("Exception");
        for (Object part : parts) {
            assertThat(err().getFirst()).contains(part.toString());
        }
    }

    /** Every file and folder below the bed, with what is in it. */
    private Map<String, String> files() {
        Map<String, String> contents = new TreeMap<>();
        try (var walk = Files.walk(folder)) {
            for (Path file : walk.toList()) {
                contents.put(
                        folder.relativize(file).toString(),
                        Files.isRegularFile(file)
                                ? HexFormat.of().formatHex(Files.readAllBytes(file))
                                : "folder");
            }
            return contents;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
