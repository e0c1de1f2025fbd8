package org.qlora4j.checkpoint;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import org.jspecify.annotations.Nullable;

/** Locks by which processes, and runs of one process, keep a file to themselves. */
public final class FileLocks {
    private FileLocks() {}

    /**
     * Locks the file of a channel until that is closed.
     *
     * @return whether nobody else holds it, in this process or another
     * @throws IOException if the file system has no locks
     */
    public static boolean take(FileChannel channel) throws IOException {
        try {
            return channel.tryLock() != null;
        } catch (OverlappingFileLockException e) { // held in this process
            return false;
        }
    }

    /** Closes a channel of which all that counts is on the disk; null for none. */
    public static void release(@Nullable FileChannel channel) {
        try {
            if (channel != null) {
                channel.close();
            }
        } catch (IOException e) {
            // it is closed all the same
        }
    }
}
