package org.qlora4j.data;

import java.io.IOException;
import java.io.InputStream;
import java.io.Reader;
import java.nio.charset.StandardCharsets;

/** Letters as bytes of UTF-8, for readers that count lines by bytes. */
final class Utf8Stream extends InputStream {
    private final Reader letters;
    private final char[] chars = new char[1 << 13];
    private int held;
    private byte[] bytes = new byte[0];
    private int at;

    Utf8Stream(Reader letters) {
        this.letters = letters;
    }

    @Override
    public int read() throws IOException {
        return fill() ? bytes[at++] & 0xFF : -1;
    }

    @Override
    public int read(byte[] buffer, int from, int length) throws IOException {
        if (length == 0) {
            return 0;
        }
        if (!fill()) {
            return -1;
        }
        int count = Math.min(length, bytes.length - at);
        System.arraycopy(bytes, at, buffer, from, count);
        at += count;
        return count;
    }

    /** Whether there are bytes; a pair of letters is never parted. */
    private boolean fill() throws IOException {
        while (at == bytes.length) {
            int count = letters.read(chars, held, chars.length - held);
            if (count < 0) {
                return false;
            }
            int end = held + count;
            held = Character.isHighSurrogate(chars[end - 1]) ? 1 : 0;
            bytes = new String(chars, 0, end - held).getBytes(StandardCharsets.UTF_8);
            at = 0;
            chars[0] = chars[end - 1]; // of use if held
        }
        return true;
    }

    @Override
    public void close() throws IOException {
        letters.close();
    }
}
