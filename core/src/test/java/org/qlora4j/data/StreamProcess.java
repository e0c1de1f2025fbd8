package org.qlora4j.data;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.qlora4j.tensor.ResidentMemory;

/**
 * Makes a JSON Lines file of a given size, reads it as training data, then reads every example once
 * in random order; prints what it found and how much memory the process has taken at most. By hand:
 * {@code java -Xmx512m … org.qlora4j.data.StreamProcess FOLDER 2000000000}.
 */
final class StreamProcess {
    private StreamProcess() {}

    /** Some words, so that tokens are no longer than in real text. */
    private static final String[] WORDS =
            "the capital of France is Paris and a response describes an instruction name write below that"
                    .split(" ");

    public static void main(String[] args) throws IOException {
        Path file = Path.of(args[0]).resolve("large.jsonl");
        long began = System.nanoTime();
        int records = write(file, Long.parseLong(args[1]));
        long written = System.nanoTime();
        try (var tokenizer = References.tokenizer("chatml")) {
            TrainingSet set =
                    TrainingSet.load(
                            References.settings("dataset", file.toString()),
                            tokenizer,
                            References.CHATML,
                            null);
            long loaded = System.nanoTime();
            long tokens = 0;
            for (int place : new TorchRandom(1).permutation(set.examples().size())) {
                tokens += set.examples().get(place).length();
            }
            System.out.printf(
                    "bytes %d records %d examples %d tokens %d %d peakKiB %s%n",
                    Files.size(file),
                    records,
                    set.examples().size(),
                    set.stats().tokens(),
                    tokens,
                    (ResidentMemory.peak().orElse(-1024) >> 10));
            System.out.printf(
                    "seconds: write %.1f, load %.1f, read %.1f%n",
                    (written - began) / 1e9,
                    (loaded - written) / 1e9,
                    (System.nanoTime() - loaded) / 1e9);
        }
    }

    private static int write(Path file, long bytes) throws IOException {
        Random random = new Random(7);
        int records = 0;
        try (BufferedWriter out = Files.newBufferedWriter(file)) {
            for (long written = 0; written < bytes; records++) {
                StringBuilder line = new StringBuilder("{\"input\": \"");
                words(line, random, 40);
                line.append("\", \"output\": \"");
                words(line, random, 120);
                line.append("\"}\n");
                written += line.length();
                out.append(line);
            }
        }
        return records;
    }

    private static void words(StringBuilder out, Random random, int most) {
        for (int n = random.nextInt(1, most); n > 0; n--) {
            out.append(WORDS[random.nextInt(WORDS.length)]).append(n == 1 ? "" : " ");
        }
    }
}
