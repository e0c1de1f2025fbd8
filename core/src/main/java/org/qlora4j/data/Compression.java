package org.qlora4j.data;

import com.github.luben.zstd.ZstdInputStream;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ExtraJar;
import org.qlora4j.error.FormatException;

/** Files as they are, or packed with gzip ({@code .gz}) or Zstandard ({@code .zst}). */
enum Compression {
    NONE(""),
    GZIP(".gz"),
    ZSTD(".zst");

    private static final int BUFFER_BYTES = 1 << 16;

    private final String suffix;

    Compression(String suffix) {
        this.suffix = suffix;
    }

    /** By the end of the name. */
    static Compression of(String name) {
        String lower = name.toLowerCase(Locale.ROOT);
        return lower.endsWith(GZIP.suffix) ? GZIP : lower.endsWith(ZSTD.suffix) ? ZSTD : NONE;
    }

    /** The name of what is packed. */
    String strip(String name) {
        return name.substring(0, name.length() - suffix.length());
    }

    /** The unpacked bytes, buffered; a {@link FormatException} if the file cannot be opened. */
    static BufferedInputStream open(Path file) {
        BufferedInputStream in = null;
        try {
            in = new BufferedInputStream(Files.newInputStream(file), BUFFER_BYTES);
            return switch (of(String.valueOf(file.getFileName()))) {
                case NONE -> in;
                case GZIP ->
                        new BufferedInputStream(
                                new GZIPInputStream(in, BUFFER_BYTES), BUFFER_BYTES);
                case ZSTD -> {
                    ExtraJar.ZSTD.requireFor(file);
                    yield new BufferedInputStream(Zstd.open(in), BUFFER_BYTES);
                }
            };
        } catch (IOException e) {
            close(in);
            throw unreadable(file, e);
        }
    }

    /** A class of its own: loading it needs the jar, which may be absent. */
    private static final class Zstd {
        static InputStream open(InputStream in) throws IOException {
            return new ZstdInputStream(in);
        }
    }

    /** Closes what could not be read. */
    static void close(@Nullable InputStream in) {
        try {
            if (in != null) {
                in.close();
            }
        } catch (IOException _) {
            // the first failure is the one to tell
        }
    }

    /** What to say when reading fails, be it the disk or what is packed. */
    static FormatException unreadable(Path file, IOException e) {
        String packed = of(file.toString()) == NONE ? "" : "; is the file whole?";
        return new FormatException(file + " cannot be read: " + e.getMessage() + packed, e);
    }
}
