package org.qlora4j.data;

import java.math.BigDecimal;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Locale;
import java.util.regex.Pattern;

/**
 * The text of a number in a spreadsheet. It loses what only its storage added (Excel keeps 3.14 as
 * 3.1400000000000001) and no digit else; shares keep their sign ({@code 5%}). Dates and times are
 * ISO 8601 with a blank ({@code 2024-03-01 12:30:00}), whatever the cell shows. Formats: ECMA-376,
 * part 1, section 18.8.31.
 */
final class XlsxCell {
    private static final DateTimeFormatter DATE = DateTimeFormatter.ofPattern("uuuu-MM-dd");
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("HH:mm:ss");
    private static final int SECONDS_A_DAY = 86_400;

    /** The days up to the year 9999. */
    private static final int DAYS = 2_958_466;

    private static final Pattern DATES = Pattern.compile("[yd]|mmm");
    private static final Pattern TIMES = Pattern.compile("[hs]");

    /** What is no place of a date in a format: quoted, escaped, padded, a colour or a currency. */
    private static final String LITERALS = "\"[^\"]*\"|[\\\\_*].|\\[(?!h+]|m+]|s+])[^]]*]";

    private XlsxCell() {}

    /**
     * A number as text.
     *
     * @param stored as the file has it
     * @param places of the cell's number format, as {@link #places} gives them; empty for none
     * @param from1904 whether days are counted from 1904 and not from 1900
     * @throws NumberFormatException if it is none
     */
    static String text(String stored, String places, boolean from1904) {
        double value = Double.parseDouble(stored);
        if (places.contains("[")) {
            return duration(value);
        }
        boolean date = DATES.matcher(places).find();
        boolean time = TIMES.matcher(places).find() || (!date && places.contains("m"));
        if ((date || time) && value >= 0 && value < DAYS) {
            LocalDateTime moment = moment(value, from1904);
            return !date && value < 1
                    ? TIME.format(moment)
                    : DATE.format(moment) + (time ? " " + TIME.format(moment) : "");
        }
        boolean percent = places.endsWith("%");
        BigDecimal shortest = new BigDecimal(Double.toString(value));
        BigDecimal shown = percent ? shortest.movePointRight(2) : shortest;
        String plain = shown.signum() == 0 ? "0" : shown.stripTrailingZeros().toPlainString();
        return percent ? plain + "%" : plain;
    }

    /** The format of numbers above 0, in small letters and without literals. */
    static String places(String format) {
        String plain = format.toLowerCase(Locale.ROOT).replaceAll(LITERALS, "");
        int end = plain.indexOf(';');
        return (end < 0 ? plain : plain.substring(0, end))
                .replace("general", "")
                .replace("am/pm", "")
                .strip();
    }

    /** Rounded to a second. The 29th of February 1900, which Excel counts, never was. */
    private static LocalDateTime moment(double value, boolean from1904) {
        LocalDate first =
                from1904
                        ? LocalDate.of(1904, 1, 1)
                        : LocalDate.of(1899, 12, 31).minusDays(value < 61 ? 0 : 1);
        return first.atStartOfDay().plusSeconds(Math.round(value * SECONDS_A_DAY));
    }

    /** Hours beyond a day, as {@code [h]:mm} shows them. */
    private static String duration(double days) {
        long seconds = Math.round(days * SECONDS_A_DAY);
        long size = Math.abs(seconds);
        return String.format(
                Locale.ROOT,
                "%s%d:%02d:%02d",
                seconds < 0 ? "-" : "",
                size / 3600,
                size / 60 % 60,
                size % 60);
    }
}
