package org.qlora4j.hub;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;

/**
 * The body of an answer, within bounds: bytes at most, and time. An HTTP client's own time-out ends
 * when the answer begins; here a body that stalls or drips is closed by a thread that watches it.
 */
final class WatchedBody extends FilterInputStream {
    /** Bytes that must arrive in each period, or the body counts as stalled. */
    private static final long PACE = 1024;

    /** Periods that a whole answer may take. */
    private static final int PERIODS = 5;

    private final long most;
    private final Thread watch;
    private volatile long arrived = 0;
    private volatile boolean ended = false;
    private volatile boolean late = false;

    /**
     * Watches a body.
     *
     * @param most bytes that it may have; one more is an {@link TooLong}
     * @param period time in which some must arrive
     * @param isWhole whether all of it must arrive in five of them
     */
    WatchedBody(InputStream body, long most, Duration period, boolean isWhole) {
        super(body);
        this.most = most;
        this.watch = Thread.ofVirtual().start(() -> watch(period, isWhole));
    }

    /** The body is longer than it may be. */
    static final class TooLong extends IOException {
        private static final long serialVersionUID = 1L;

        TooLong(long most) {
            super("more than the " + most + " bytes announced arrive");
        }
    }

    private void watch(Duration period, boolean isWhole) {
        try {
            long before = -PACE;
            for (int i = 0; arrived - before >= PACE && !(isWhole && i == PERIODS); i++) {
                before = arrived;
                Thread.sleep(period);
            }
            if (!ended) {
                late = true;
                in.close();
            }
        } catch (InterruptedException | IOException e) {
            return; // closed, which is what there was to do
        }
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
        int read;
        try {
            read = super.read(bytes, offset, length);
        } catch (IOException e) {
            throw late ? new IOException("the answer stalled", e) : e;
        }
        if (late) {
            throw new IOException("the answer stalled");
        }
        if (read < 0) {
            ended = true;
            return read;
        }
        arrived += read;
        if (arrived > most) {
            throw new TooLong(most);
        }
        return read;
    }

    @Override
    public void close() throws IOException {
        ended = true;
        watch.interrupt();
        super.close();
    }
}
