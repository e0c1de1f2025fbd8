package org.qlora4j.data;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.Reader;
import java.nio.charset.Charset;
import java.nio.charset.IllegalCharsetNameException;
import java.nio.charset.StandardCharsets;
import java.nio.charset.UnsupportedCharsetException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;

/**
 * The character set of text files. A byte order mark at the beginning of a file decides, then what
 * was told, else it is UTF-8, or UTF-16 where every other of the first bytes is zero. A byte that
 * does not belong to it is an error with its line, never a replaced letter.
 *
 * @param told by settings; null if nothing was
 * @param key of the settings that may tell it, for messages; empty where there is none
 */
public record TextEncoding(@Nullable Charset told, String key) {
    /** For files of which no setting speaks. */
    public static final TextEncoding FOUND = new TextEncoding(null, "");

    /** Byte order marks; the longer of two with the same beginning comes first. */
    private static final List<Map.Entry<String, Charset>> MARKS =
            List.of(
                    Map.entry("\u00EF\u00BB\u00BF", StandardCharsets.UTF_8),
                    Map.entry("\u00FF\u00FE\0\0", Charset.forName("UTF-32LE")),
                    Map.entry("\0\0\u00FE\u00FF", Charset.forName("UTF-32BE")),
                    Map.entry("\u00FF\u00FE", StandardCharsets.UTF_16LE),
                    Map.entry("\u00FE\u00FF", StandardCharsets.UTF_16BE));

    /** Names that Java does not know, or takes to the letter where people mean another. */
    private static final Map<String, String> NAMES =
            Map.of(
                    "utf-8-sig", "UTF-8",
                    "iso-8859-1", "windows-1252", // as browsers take it: else € becomes a control
                    "latin-1", "windows-1252",
                    "latin1", "windows-1252",
                    "mac-roman", "x-MacRoman");

    /** {@code data.encoding} of the settings. */
    static TextEncoding of(DataConfig config) {
        String name = config.encoding();
        return new TextEncoding(name == null ? null : charset(name), "data.encoding");
    }

    /**
     * The character set of that name, as Java or Python spell it.
     *
     * @throws ConfigException if there is none; the message begins after the key
     */
    static Charset charset(String name) {
        String plain = name.strip().toLowerCase(Locale.ROOT).replace('_', '-');
        try {
            return Charset.forName(NAMES.getOrDefault(plain, plain));
        } catch (IllegalCharsetNameException | UnsupportedCharsetException e) {
            throw ConfigException.of(
                    "must be a character set such as utf-8, windows-1252 or utf-16, got %s", name);
        }
    }

    /** The letters of a file, unpacked, without its mark; the caller closes. */
    Reader letters(Path file) {
        BufferedInputStream bytes = Compression.open(file);
        return new TextReader(file, bytes, this, found(file, bytes));
    }

    /** The same as bytes of UTF-8; those of a file in UTF-8 may have faults still. */
    InputStream utf8(Path file) {
        BufferedInputStream bytes = Compression.open(file);
        Charset found = found(file, bytes);
        return found.equals(StandardCharsets.UTF_8)
                ? bytes
                : new Utf8Stream(new TextReader(file, bytes, this, found));
    }

    /** As {@link #find}; what cannot be read is closed. */
    private Charset found(Path file, BufferedInputStream bytes) {
        try {
            return find(bytes);
        } catch (IOException e) {
            Compression.close(bytes);
            throw Compression.unreadable(file, e);
        }
    }

    /** Looks at the first bytes, and reads past a mark. */
    Charset find(BufferedInputStream bytes) throws IOException {
        bytes.mark(4);
        String start = new String(bytes.readNBytes(4), StandardCharsets.ISO_8859_1);
        bytes.reset();
        for (Map.Entry<String, Charset> mark : MARKS) {
            if (start.startsWith(mark.getKey())) {
                bytes.skipNBytes(mark.getKey().length());
                return mark.getValue();
            }
        }
        Charset sixteen =
                start.matches("(?s)[^\0]\0[^\0]\0")
                        ? StandardCharsets.UTF_16LE
                        : start.matches("(?s)\0[^\0]\0[^\0]") ? StandardCharsets.UTF_16BE : null;
        if (sixteen != null && (told == null || told.equals(StandardCharsets.UTF_16))) {
            return sixteen;
        }
        return Objects.requireNonNullElse(told, StandardCharsets.UTF_8);
    }

    /** What to say of a byte that is none of the character set. */
    FormatException alien(Path file, long line, int unsigned, Charset charset) {
        boolean isTold =
                told != null && (told.equals(charset) || told.equals(StandardCharsets.UTF_16));
        String way =
                isTold
                        ? "data.encoding says that it is; name another there"
                        : told != null || key.isEmpty()
                                ? "save the file as UTF-8 (in Excel: CSV UTF-8), or convert it: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
                                : "say what the file is, e.g. "
                                        + key
                                        + ": windows-1252, or save it as UTF-8 (in Excel: CSV UTF-8)";
        return FormatException.of(
                "%s:%d: the byte 0x%02X is not %s; %s",
                file, line, unsigned, charset.name().replace("windows", "Windows"), way);
    }
}
