package org.qlora4j.data;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.DeviceException;
import org.qlora4j.hub.Caches;

/**
 * Examples in the order they were added: in memory while they are few, beyond {@code memoryBytes}
 * in a file of their own, of which memory holds place and length alone (12 bytes an example). The
 * file has no name any more once it is open, where the system allows that, so that nothing stays
 * behind however the program ends. It is read, not mapped: mapped pages would count as the
 * process's memory. Adding is for one thread, reading for any.
 *
 * <p>An example in the file, little-endian: length, full length, line, place of the file's name,
 * whether its end is cut, each int32; ids as int32; labels as a bit each, in bytes.
 */
final class ExampleStore {
    /** Tokens of more than this leave the heap: far beyond sets of a few ten thousand. */
    static final long MEMORY_BYTES = Math.min(64L << 20, Runtime.getRuntime().maxMemory() / 16);

    private static final int HEADER_BYTES = 5 * Integer.BYTES;
    private static final int WRITE_BYTES = 1 << 20;

    private final long memoryBytes;
    private final List<Example> inMemory = new ArrayList<>();
    private final List<String> files = new ArrayList<>();
    private long bytes;
    private int size;
    private long[] places = new long[16];
    private int[] lengths = new int[16];
    private @Nullable RandomAccessFile spilled;
    private ByteBuffer pending = ByteBuffer.allocate(0);

    ExampleStore(long memoryBytes) {
        this.memoryBytes = memoryBytes;
    }

    int size() {
        return size;
    }

    /** Tokens of an example, without reading it. */
    int length(int index) {
        return lengths[index];
    }

    /** Whether the examples are in a file. */
    boolean isSpilled() {
        return spilled != null;
    }

    void add(Example example) {
        if (size == lengths.length) {
            int more = Math.addExact(size, size / 2);
            lengths = Arrays.copyOf(lengths, more);
            places = Arrays.copyOf(places, more);
        }
        places[size] = bytes;
        lengths[size] = example.length();
        bytes += byteSize(example.length());
        size++;
        if (spilled != null) {
            write(example);
            return;
        }
        inMemory.add(example);
        if (bytes > memoryBytes) {
            spilled = openFile();
            pending = ByteBuffer.allocate(WRITE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
            inMemory.forEach(this::write);
            inMemory.clear();
        }
    }

    private static int byteSize(int length) {
        return Math.addExact(
                HEADER_BYTES + (length + 7) / 8, Math.multiplyExact(length, Integer.BYTES));
    }

    private void write(Example example) {
        int size = byteSize(example.length());
        if (pending.remaining() < size) {
            flush();
            if (pending.capacity() < size) {
                pending = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
            }
        }
        int file = files.indexOf(example.file());
        if (file < 0) {
            file = files.size();
            files.add(example.file());
        }
        pending.putInt(example.length())
                .putInt(example.fullLength())
                .putInt(example.line())
                .putInt(file)
                .putInt(example.endCut() ? 1 : 0);
        for (int id : example.ids()) {
            pending.putInt(id);
        }
        byte[] labels = example.labelled().toByteArray();
        pending.put(labels);
        pending.position(pending.position() + (example.length() + 7) / 8 - labels.length);
    }

    /** Ends adding: what is still in the buffer goes to the file. */
    void flush() {
        if (spilled == null || pending.position() == 0) {
            return;
        }
        try {
            spilled.write(pending.array(), 0, pending.position());
        } catch (IOException e) {
            throw new DeviceException(
                    "the tokens cannot be written to %s (%s); free disk space, or set QLORA_CACHE to a folder on another disk"
                            .formatted(Caches.folder(), e.getMessage()),
                    e);
        }
        Arrays.fill(pending.array(), (byte) 0); // labels beyond the last set bit are skipped
        pending.clear();
    }

    Example get(int index) {
        if (spilled == null) {
            return inMemory.get(index);
        }
        byte[] raw = new byte[byteSize(lengths[index])];
        read(spilled, places[index], raw);
        ByteBuffer in = ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN);
        int[] ids = new int[in.getInt()];
        int fullLength = in.getInt();
        int line = in.getInt();
        String file = files.get(in.getInt());
        boolean endCut = in.getInt() != 0;
        in.asIntBuffer().get(ids);
        in.position(HEADER_BYTES + ids.length * Integer.BYTES);
        return new Example(ids, BitSet.valueOf(in), file, line, fullLength, endCut);
    }

    private static void read(RandomAccessFile file, long place, byte[] bytes) {
        synchronized (file) {
            try {
                file.seek(place);
                file.readFully(bytes);
            } catch (IOException e) {
                throw new DeviceException(
                        "the tokens cannot be read back from "
                                + Caches.folder()
                                + ": "
                                + e.getMessage(),
                        e);
            }
        }
    }

    private static RandomAccessFile openFile() {
        Path folder = Caches.made();
        try {
            Path file = Files.createTempFile(folder, "examples-", ".tokens");
            RandomAccessFile open = new RandomAccessFile(file.toFile(), "rw");
            try {
                Files.delete(file);
            } catch (IOException e) { // a system that keeps names of open files
                file.toFile().deleteOnExit();
            }
            return open;
        } catch (IOException e) {
            throw new DeviceException(
                    "the data is too large for memory, and %s cannot be written (%s); set QLORA_CACHE to a folder that can"
                            .formatted(folder, e.getMessage()),
                    e);
        }
    }
}
