package org.qlora4j.app.serve;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.data.Source;
import org.qlora4j.error.DeviceException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Files of examples that clients have sent. They lie in one folder under names that the server
 * gives: of the client's only the ending counts, one of those that are read.
 */
final class Uploads {
    private static final Logger LOG = LoggerFactory.getLogger(Uploads.class);

    /** Files that no run was started from; the oldest makes way for one more. */
    private static final int MOST_UNUSED = 8;

    private final Path folder;
    private final long most;
    private final Predicate<Upload> isUsed;
    private final Map<String, Upload> all = new LinkedHashMap<>(); // guarded by this

    /**
     * @param folder made with the first file
     * @param most bytes of a file
     * @param isUsed whether a run was started from a file, which may go on later
     */
    Uploads(Path folder, long most, Predicate<Upload> isUsed) {
        this.folder = folder;
        this.most = most;
        this.isUsed = isUsed;
    }

    /**
     * A file.
     *
     * @param id by which clients name it
     * @param name that it had with the client
     */
    record Upload(String id, String name, Path file, long bytes) {
        /** A message about the file, which speaks of it as the client knows it. */
        String named(String message) {
            return message.replace(file.toString(), name);
        }
    }

    /**
     * Keeps a file.
     *
     * @throws IOException if it cannot be read from the client
     */
    Upload keep(String name, InputStream in) throws IOException {
        String shown = name.replaceAll("[\\p{Cntrl}/\\\\]", "_");
        String id = ApiServer.newId("data-") + ending(shown);
        Path file = folder.resolve(id);
        long bytes = 0;
        boolean whole = false;
        try {
            Files.createDirectories(folder);
            try (OutputStream out = Files.newOutputStream(file)) {
                byte[] buffer = new byte[1 << 16];
                for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                    bytes += n;
                    if (bytes > most) {
                        throw ApiError.of(
                                413,
                                "too_large",
                                "a file may have %d bytes (--max-upload)".formatted(most));
                    }
                    write(out, buffer, n);
                }
            }
            if (bytes == 0) {
                throw ApiError.of(400, "empty_file", shown + " is empty");
            }
            whole = true;
        } finally {
            if (!whole) {
                delete(file);
            }
        }
        Upload upload = new Upload(id, shown, file, bytes);
        List<Upload> unused = unused(); // asks outside of the lock, as runs ask for files
        synchronized (this) {
            all.put(id, upload);
        }
        if (unused.size() >= MOST_UNUSED) {
            drop(unused.getFirst());
        }
        return upload;
    }

    private List<Upload> unused() {
        List<Upload> copy;
        synchronized (this) {
            copy = List.copyOf(all.values());
        }
        return copy.stream().filter(isUsed.negate()).toList();
    }

    private void write(OutputStream out, byte[] bytes, int count) {
        try {
            out.write(bytes, 0, count);
        } catch (IOException e) {
            throw new DeviceException(
                    "the file cannot be kept: " + AtomicFiles.reason(e) + "; make room on the disk",
                    e);
        }
    }

    private static String ending(String name) {
        int last = name.lastIndexOf('.');
        int before = name.lastIndexOf('.', last - 1);
        for (int dot : new int[] {last, before}) {
            String ending = dot < 0 ? "" : name.substring(dot);
            if (ending.matches("[.A-Za-z0-9]+") && Source.isKnown("x" + ending)) {
                return ending;
            }
        }
        throw ApiError.of(
                400,
                "unknown_kind",
                "%s is of a kind that is not read; give %s".formatted(name, Source.ENDINGS));
    }

    /** A file that is there. */
    synchronized Upload get(String id) {
        Upload upload = all.get(id);
        if (upload == null) {
            throw ApiError.of(404, "dataset_not_found", "there is no such file; send it again");
        }
        return upload;
    }

    /** Deletes a file that no run was started from. */
    void drop(String id) {
        Upload upload = get(id);
        if (isUsed.test(upload)) {
            throw ApiError.of(409, "dataset_in_use", "a run was started from this file");
        }
        drop(upload);
    }

    private synchronized void drop(Upload upload) {
        all.remove(upload.id);
        delete(upload.file);
    }

    /** Deletes all files that no run was started from. */
    void dropUnused() {
        unused().forEach(this::drop);
    }

    private static void delete(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            LOG.warn("{} cannot be deleted: {}", file, AtomicFiles.reason(e));
        }
    }
}
