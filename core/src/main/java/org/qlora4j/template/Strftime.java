package org.qlora4j.template;

import java.time.Clock;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoField;
import java.util.Locale;

/** Dates as Python's {@code datetime.now().strftime} prints them in the C locale. */
final class Strftime {
    private Strftime() {}

    /**
     * The clock's time in its zone.
     *
     * @param format text with directives such as {@code %d %b %Y}; a {@code -} drops the leading
     *     zero
     * @throws TemplateError of kind VALUE for a directive that is not known
     */
    static String format(String format, Clock clock) {
        LocalDateTime now = LocalDateTime.now(clock);
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < format.length(); i++) {
            char c = format.charAt(i);
            if (c != '%') {
                out.append(c);
                continue;
            }
            boolean bare = i + 1 < format.length() && format.charAt(i + 1) == '-';
            i += bare ? 2 : 1;
            if (i >= format.length()) {
                throw TemplateError.value(
                        "strftime_now: the format ends in the middle of a directive");
            }
            String text = directive(format.charAt(i), now);
            out.append(bare ? text.replaceFirst("^[0 ]+(?=.)", "") : text);
        }
        return out.toString();
    }

    private static String directive(char directive, LocalDateTime now) {
        return switch (directive) {
            case '%' -> "%";
            case 'n' -> "\n";
            case 't' -> "\t";
            case 'z', 'Z' -> ""; // a time without zone, as datetime.now() gives
            case 'f' -> String.format(Locale.ROOT, "%06d", now.get(ChronoField.MICRO_OF_SECOND));
            case 'w' -> String.valueOf(now.getDayOfWeek().getValue() % 7);
            case 'u' -> String.valueOf(now.getDayOfWeek().getValue());
            case 'e' -> String.format(Locale.ROOT, "%2d", now.getDayOfMonth());
            case 'C' -> String.format(Locale.ROOT, "%02d", now.getYear() / 100);
            case 'U' -> week(now, now.getDayOfWeek().getValue() % 7);
            case 'W' -> week(now, now.getDayOfWeek().getValue() - 1);
            default -> DateTimeFormatter.ofPattern(pattern(directive), Locale.ENGLISH).format(now);
        };
    }

    /** Week of the year, counted from the first day that starts one. */
    private static String week(LocalDateTime now, int dayOfWeek) {
        return String.format(Locale.ROOT, "%02d", (now.getDayOfYear() + 6 - dayOfWeek) / 7);
    }

    private static String pattern(char directive) {
        return switch (directive) {
            case 'a' -> "EEE";
            case 'A' -> "EEEE";
            case 'b', 'h' -> "MMM";
            case 'B' -> "MMMM";
            case 'd' -> "dd";
            case 'm' -> "MM";
            case 'y' -> "yy";
            case 'Y' -> "yyyy";
            case 'H' -> "HH";
            case 'I' -> "hh";
            case 'M' -> "mm";
            case 'S' -> "ss";
            case 'p' -> "a";
            case 'j' -> "DDD";
            case 'c' -> "EEE MMM ppd HH:mm:ss yyyy";
            case 'x', 'D' -> "MM/dd/yy";
            case 'X', 'T' -> "HH:mm:ss";
            case 'F' -> "yyyy-MM-dd";
            case 'R' -> "HH:mm";
            default -> throw TemplateError.value("strftime_now: unknown directive %%%s", directive);
        };
    }
}
