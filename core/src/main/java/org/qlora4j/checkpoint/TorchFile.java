package org.qlora4j.checkpoint;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.Set;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * A file of {@code torch.save} ({@code pytorch_model.bin}, {@code adapter_model.bin}) in the form
 * of torch 1.6 and later: a zip with a pickle and the bytes of each storage. Only tensors are taken
 * from it ({@link TorchPickle}).
 */
final class TorchFile implements TensorFile {
    /** Bytes of the longest pickle; those of the largest models have some hundred thousand. */
    private static final long MAX_PICKLE = 100_000_000;

    private static final int CHUNK = 1 << 20;

    private final Path path;
    private final ZipFile zip;
    private final String prefix;
    private final Map<String, TorchPickle.Window> windows;

    private TorchFile(
            Path path, ZipFile zip, String prefix, Map<String, TorchPickle.Window> windows) {
        this.path = path;
        this.zip = zip;
        this.prefix = prefix;
        this.windows = windows;
    }

    /**
     * Opens the file and reads what it holds.
     *
     * @throws FormatException if it is missing, damaged, of another form, or holds more than
     *     tensors
     */
    static TorchFile open(Path path) {
        if (!Files.isRegularFile(path)) {
            throw FormatException.of("%s does not exist; check the path", path);
        }
        ZipFile zip;
        try {
            zip = new ZipFile(path.toFile());
        } catch (ZipException e) {
            throw new FormatException(
                    path
                            + ": is no file that torch.save wrote from version 1.6 on, or it is damaged; use the"
                            + " safetensors form",
                    e);
        } catch (IOException e) {
            throw new FormatException(path + " cannot be read: " + AtomicFiles.reason(e), e);
        }
        try {
            ZipEntry pickle =
                    zip.stream()
                            .filter(e -> e.getName().matches("([^/]+/)?data\\.pkl"))
                            .findFirst()
                            .orElseThrow(() ->
                                    FormatException.of(
                                            "%s: holds no data.pkl, so torch.save did not write it; use the safetensors form",
                                            path));
            String prefix =
                    pickle.getName().substring(0, pickle.getName().length() - "data.pkl".length());
            requireLittleEndian(path, zip, prefix);
            byte[] bytes = stored(path, zip, pickle, MAX_PICKLE);
            TorchFile file = new TorchFile(path, zip, prefix, TorchPickle.tensors(path, bytes));
            file.windows.forEach((name, window) -> file.storage(name, window));
            return file;
        } catch (IOException e) {
            close(zip, e);
            throw new FormatException(path + " cannot be read: " + AtomicFiles.reason(e), e);
        } catch (RuntimeException | Error e) {
            close(zip, e);
            throw e;
        }
    }

    private static void close(ZipFile zip, Throwable because) {
        try {
            zip.close();
        } catch (IOException e) {
            because.addSuppressed(e);
        }
    }

    private static void requireLittleEndian(Path path, ZipFile zip, String prefix)
            throws IOException {
        ZipEntry order = zip.getEntry(prefix + "byteorder");
        if (order != null
                && !"little"
                        .equals(
                                new String(
                                        stored(path, zip, order, 16), StandardCharsets.US_ASCII))) {
            throw FormatException.of(
                    "%s: holds big-endian numbers; use the safetensors form", path);
        }
    }

    /** Bytes of an entry, which torch never compresses: it cannot be larger than the file. */
    private static byte[] stored(Path path, ZipFile zip, ZipEntry entry, long most)
            throws IOException {
        requireStored(path, entry);
        if (entry.getSize() > most) {
            throw FormatException.of(
                    "%s: %s has %d bytes, more than %d; fetch the file again",
                    path, StrictJson.clip(entry.getName()), entry.getSize(), most);
        }
        try (InputStream in = zip.getInputStream(entry)) {
            return in.readNBytes((int) entry.getSize());
        }
    }

    private static void requireStored(Path path, ZipEntry entry) {
        if (entry.getMethod() != ZipEntry.STORED
                || entry.getSize() < 0
                || entry.getSize() != entry.getCompressedSize()
                || entry.getSize() > path.toFile().length()) {
            throw FormatException.of(
                    "%s: %s is compressed, which torch.save never does; use the safetensors form",
                    path, StrictJson.clip(entry.getName()));
        }
    }

    /** The entry that holds a tensor's storage, large enough for it. */
    private ZipEntry storage(String name, TorchPickle.Window window) {
        @Nullable ZipEntry entry = zip.getEntry(prefix + "data/" + window.key());
        long bytes = Math.multiplyExact(window.elements(), window.type().elementBytes());
        if (entry == null || entry.getSize() < bytes) {
            throw FormatException.of(
                    "%s: tensor %s needs a storage of %d bytes, the file has %s; fetch it again",
                    path, name, bytes, entry == null ? "none" : Long.toString(entry.getSize()));
        }
        requireStored(path, entry);
        return entry;
    }

    /** The file's path, as given. */
    @Override
    public Path path() {
        return path;
    }

    /** Names of the tensors, in the order of the dictionary. */
    @Override
    public Set<String> names() {
        return Collections.unmodifiableSet(windows.keySet());
    }

    /** Type and shape of a tensor. */
    @Override
    public StoredInfo info(String name) {
        TorchPickle.Window window = window(name);
        return new StoredInfo(name, window.type(), window.shape());
    }

    /** A copy of the tensor, in C order, in memory of the arena. */
    @Override
    public StoredTensor read(String name, Arena arena) {
        TorchPickle.Window window = window(name);
        int width = window.type().elementBytes();
        long[] shape = window.shape();
        long elements = StoredType.elements(shape);
        MemorySegment out = arena.allocate(Math.max(1, elements * width), 64);
        out = out.asSlice(0, elements * width);
        if (elements > 0) {
            if (isContiguous(window)) {
                readInto(name, window, window.offset() * width, out);
            } else {
                gather(name, window, width, out);
            }
        }
        return new StoredTensor(name, window.type(), shape, out, path);
    }

    private static boolean isContiguous(TorchPickle.Window window) {
        long expected = 1;
        for (int i = window.shape().length - 1; i >= 0; i--) {
            if (window.shape()[i] != 1 && window.strides()[i] != expected) {
                return false;
            }
            expected *= window.shape()[i];
        }
        return true;
    }

    /** Reads all of the storage of a transposed or cut tensor, and picks its elements. */
    private void gather(String name, TorchPickle.Window window, int width, MemorySegment out) {
        try (Arena all = Arena.ofConfined()) {
            MemorySegment storage = all.allocate(window.elements() * width, 64);
            readInto(name, window, 0, storage);
            long[] shape = window.shape();
            long[] index = new long[shape.length];
            long at = window.offset();
            for (long i = 0; i < out.byteSize(); i += width) {
                MemorySegment.copy(storage, at * width, out, i, width);
                for (int d = shape.length - 1; d >= 0; d--) {
                    at += window.strides()[d];
                    if (++index[d] < shape[d]) {
                        break;
                    }
                    at -= index[d] * window.strides()[d];
                    index[d] = 0;
                }
            }
        }
    }

    private void readInto(String name, TorchPickle.Window window, long from, MemorySegment target) {
        try (InputStream in = zip.getInputStream(storage(name, window))) {
            in.skipNBytes(from);
            byte[] chunk = new byte[(int) Math.min(CHUNK, target.byteSize())];
            for (long at = 0; at < target.byteSize(); ) {
                int wanted = (int) Math.min(chunk.length, target.byteSize() - at);
                if (in.readNBytes(chunk, 0, wanted) < wanted) {
                    throw new IOException("it ends too early");
                }
                MemorySegment.copy(MemorySegment.ofArray(chunk), 0, target, at, wanted);
                at += wanted;
            }
        } catch (IOException e) {
            throw new FormatException(
                    "%s: tensor %s cannot be read: %s; fetch the file again"
                            .formatted(path, name, AtomicFiles.reason(e)),
                    e);
        }
    }

    private TorchPickle.Window window(String name) {
        TorchPickle.Window window = windows.get(name);
        if (window == null) {
            throw FormatException.of(
                    "%s has no tensor %s (it holds %d others)", path, name, windows.size());
        }
        return window;
    }

    @Override
    public void close() {
        try {
            zip.close();
        } catch (IOException e) {
            throw new FormatException(path + " cannot be closed: " + AtomicFiles.reason(e), e);
        }
    }
}
