package org.qlora4j.app;

import java.util.Locale;

/** Amounts of memory as people read them. */
final class ByteSize {
    private static final long GIB = 1L << 30;

    private ByteSize() {}

    /** For example {@code 812 MiB} below one GiB, {@code 1.5 GiB} from there. */
    static String text(long bytes) {
        return bytes < GIB
                ? (bytes >> 20) + " MiB"
                : String.format(Locale.ROOT, "%.1f GiB", bytes / (double) GIB);
    }
}
