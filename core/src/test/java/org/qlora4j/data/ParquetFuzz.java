package org.qlora4j.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.qlora4j.error.UserException;
import org.qlora4j.testing.FuzzChild;
import org.qlora4j.testing.Mutation;

/** Mutated Parquet files, each read to its end. */
final class ParquetFuzz {
    /** Most that earlier inputs may leave on the heap: what reading one takes. */
    private static final long LEFT_BYTES = 64 << 20;

    private ParquetFuzz() {}

    public static void main(String[] arguments) throws IOException {
        List<byte[]> sound = new ArrayList<>();
        for (String name :
                List.of(
                        "sources/snappy",
                        "sources/none",
                        "sources/nested",
                        "sources/zstd",
                        "sources/gzip",
                        "cases/03-tools")) {
            try (InputStream in =
                    Objects.requireNonNull(
                            ParquetFuzz.class.getResourceAsStream(
                                    "/org/qlora4j/data/" + name + ".parquet"))) {
                sound.add(in.readAllBytes());
            }
        }
        Path folder = Files.createTempDirectory("fuzz");
        Path file = folder.resolve("a.parquet");
        try {
            FuzzChild.main(
                    arguments,
                    seed -> trial(new Random(seed), sound, file),
                    ParquetFuzz::leavesSomething);
        } finally {
            Files.deleteIfExists(file);
            Files.deleteIfExists(folder);
        }
    }

    /**
     * The reader's threads of some damaged files go on, or wait for ever, with what they hold: 30
     * MB and more, however small the file. The heap is meant for one input, so that what is left
     * must not add up.
     */
    private static boolean leavesSomething(UserException refusal) {
        String message = String.valueOf(refusal.getMessage());
        return message.contains(Watchdog.ENDLESS)
                || message.contains("OutOfMemoryError")
                || (usedBytes() > LEFT_BYTES && usedBytesAfterCollection() > LEFT_BYTES);
    }

    private static long usedBytesAfterCollection() {
        System.gc();
        return usedBytes();
    }

    private static long usedBytes() {
        return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }

    private static void trial(Random random, List<byte[]> sound, Path file) throws IOException {
        byte[] bytes = Mutation.one(sound, random);
        int footer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt(bytes.length - 8);
        int from = random.nextBoolean() ? Math.max(0, bytes.length - 8 - footer) : 4;
        Files.write(file, Mutation.bytes(bytes, from, random));
        try (Source.Rows rows = new Parquet(file).open()) {
            while (rows.next() != null) {}
        }
    }
}
