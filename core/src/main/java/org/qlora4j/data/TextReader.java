package org.qlora4j.data;

import java.io.IOException;
import java.io.InputStream;
import java.io.Reader;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.Charset;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.file.Path;

/**
 * The letters of a file. It counts lines, so that a byte which is no letter is named with the line
 * that it stands in; a {@link org.qlora4j.error.FormatException} then.
 */
final class TextReader extends Reader {
    private static final int BUFFER_BYTES = 1 << 16;

    private final Path file;
    private final InputStream in;
    private final TextEncoding encoding;
    private final CharsetDecoder decoder;
    private final ByteBuffer bytes = ByteBuffer.allocate(BUFFER_BYTES).flip();

    /** Two letters at least, for a character beyond 16 bits has two. */
    private final CharBuffer letters = CharBuffer.allocate(BUFFER_BYTES).flip();

    private long line = 1;
    private boolean afterReturn;
    private boolean atEnd;

    /**
     * Takes over the bytes.
     *
     * @param encoding says what to do about a fault
     * @param charset which the bytes are
     */
    TextReader(Path file, InputStream in, TextEncoding encoding, Charset charset) {
        this.file = file;
        this.in = in;
        this.encoding = encoding;
        this.decoder =
                charset.newDecoder()
                        .onMalformedInput(CodingErrorAction.REPORT)
                        .onUnmappableCharacter(CodingErrorAction.REPORT);
    }

    @Override
    public int read(char[] buffer, int from, int length) throws IOException {
        if (length == 0) {
            return 0;
        }
        if (!letters.hasRemaining() && !fill()) {
            return -1;
        }
        int count = Math.min(length, letters.remaining());
        letters.get(buffer, from, count);
        return count;
    }

    /** Decodes the next letters, one at least; false at the end. */
    private boolean fill() throws IOException {
        letters.clear();
        while (letters.position() == 0) {
            CoderResult result = decoder.decode(bytes, letters, atEnd);
            if (letters.position() > 0) {
                break; // a fault behind them is found again
            }
            if (result.isError()) {
                int alien = bytes.get(bytes.position()) & 0xFF;
                throw encoding.alien(file, line, alien, decoder.charset());
            }
            if (atEnd) {
                letters.flip();
                return false;
            }
            bytes.compact();
            int count = in.read(bytes.array(), bytes.position(), bytes.remaining());
            atEnd = count < 0;
            bytes.position(bytes.position() + Math.max(0, count)).flip();
        }
        letters.flip();
        countLines();
        return true;
    }

    private void countLines() {
        for (int i = 0; i < letters.limit(); i++) {
            char c = letters.get(i);
            if (c == '\r' || (c == '\n' && !afterReturn)) {
                line++;
            }
            afterReturn = c == '\r';
        }
    }

    @Override
    public void close() throws IOException {
        in.close();
    }
}
