package org.qlora4j.app;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Amounts of memory as people read and write them. */
final class ByteSize {
    private static final long GIB = 1L << 30;
    private static final Pattern WRITTEN = Pattern.compile("([1-9][0-9]{0,17})(?i:([kmgt])i?b?)?");

    private ByteSize() {}

    /** A flag's amount in bytes, or in KiB, MiB, GiB or TiB (K and KB are the same). */
    static final class Converter implements ITypeConverter<Long> {
        @Override
        public Long convert(String text) {
            Matcher matcher = WRITTEN.matcher(text.strip());
            if (matcher.matches()) {
                String unit = matcher.group(2);
                int shift =
                        unit == null ? 0 : 10 * (1 + "kmgt".indexOf(unit.toLowerCase(Locale.ROOT)));
                long number = Long.parseLong(matcher.group(1));
                if (number <= Long.MAX_VALUE >> shift) {
                    return number << shift;
                }
            }
            throw new TypeConversionException(
                    "'%s' is no amount of memory, such as 2GiB".formatted(text));
        }
    }

    /** For example {@code 812 MiB} below one GiB, {@code 1.5 GiB} from there. */
    static String text(long bytes) {
        return bytes < GIB
                ? (bytes >> 20) + " MiB"
                : String.format(Locale.ROOT, "%.1f GiB", bytes / (double) GIB);
    }
}
