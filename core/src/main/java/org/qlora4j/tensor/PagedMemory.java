package org.qlora4j.tensor;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.qlora4j.error.DeviceException;

/**
 * Zeroed memory that the system may page out when it runs short: unified memory on a CUDA device
 * (the paged optimizer of arXiv 2305.14314, section 3), a file mapped into memory on CPUs. The file
 * is unlinked at once where the system allows it, so that nothing is left of a process that was
 * killed.
 */
public final class PagedMemory implements AutoCloseable {
    private static final String PREFIX = ".paged-";

    private final Arena arena = Arena.ofShared();
    private final MemorySegment memory;
    private final boolean managed;

    /**
     * @param folder where the file is made, if one is; made if it is not there, and must have room
     * @param bytes size
     */
    public PagedMemory(Path folder, long bytes) {
        Device device = Tensors.device();
        managed = device.cuda();
        if (managed) {
            memory = CudaDriver.open().allocateManaged(bytes, device.index());
            try (TensorScope scope = TensorScope.open()) {
                part(DType.U8, 0, bytes).zero();
            }
        } else {
            memory = mapFile(folder, bytes);
        }
    }

    private MemorySegment mapFile(Path folder, long bytes) {
        Path file =
                folder.resolve(PREFIX + ProcessHandle.current().pid() + "-" + System.nanoTime());
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw unusable(folder, e);
        }
        try (FileChannel channel =
                FileChannel.open(
                        file,
                        StandardOpenOption.CREATE_NEW,
                        StandardOpenOption.READ,
                        StandardOpenOption.WRITE)) {
            long room = Files.getFileStore(folder).getUsableSpace();
            if (room < bytes) { // a mapped page without a block behind it would kill the JVM
                throw DeviceException.of(
                        "%s has %d MiB left, the paged optimizer state needs %d MiB; make room or set"
                                + " train.optim=adamw_torch",
                        folder, room >> 20, bytes >> 20);
            }
            return channel.map(FileChannel.MapMode.READ_WRITE, 0, bytes, arena);
        } catch (IOException e) {
            throw unusable(folder, e);
        } finally {
            unlink(file);
        }
    }

    private DeviceException unusable(Path folder, IOException e) {
        arena.close();
        return new DeviceException(
                "the paged optimizer state cannot be made in " + folder + ": " + e.getMessage(), e);
    }

    /**
     * Part of the memory as a vector; close it before this.
     *
     * @param byteOffset where it begins, a multiple of the type's size
     * @param count elements
     */
    public Tensor part(DType dtype, long byteOffset, long count) {
        return Tensors.over(memory.asSlice(byteOffset, count * dtype.bytes()), dtype, count);
    }

    /** Deletes files of processes that were killed before they had unlinked them. */
    public static void clearUp(Path folder) {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, PREFIX + "*")) {
            for (Path file : files) {
                String[] parts = String.valueOf(file.getFileName()).split("-", -1);
                if (parts.length == 3
                        && parts[1].matches("\\d{1,18}")
                        && ProcessHandle.of(Long.parseLong(parts[1])).isEmpty()) {
                    Files.deleteIfExists(file);
                }
            }
        } catch (IOException e) {
            throw new DeviceException(folder + " cannot be cleared up: " + e, e);
        }
    }

    private static void unlink(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            file.toFile().deleteOnExit(); // some systems keep a mapped file until it is unmapped
        }
    }

    @Override
    public void close() {
        if (managed) {
            Engine.synchronize(); // kernels that use it may still be queued
            CudaDriver.open().freeManaged(memory);
        }
        arena.close();
    }
}
