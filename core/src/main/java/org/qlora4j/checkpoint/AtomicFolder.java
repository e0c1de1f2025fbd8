package org.qlora4j.checkpoint;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import org.jspecify.annotations.Nullable;

/**
 * Builds a folder that appears whole or not at all: files go into {@code .NAME.tmp-PID} beside it,
 * which {@link #commit} forces to the disk and renames. Closing without a commit deletes what was
 * written.
 *
 * <pre>{@code
 * try (AtomicFolder folder = AtomicFolder.begin(run.resolve("checkpoint-100"))) {
 *     AtomicFiles.writeText(folder.path().resolve("trainer_state.json"), state);
 *     folder.commit();
 * }
 * }</pre>
 *
 * <p>{@link #begin} also clears up after processes that were killed while they built this folder:
 * their {@code .tmp-PID} is deleted, and a folder they had moved aside to replace is put back. One
 * folder must have one writer at a time, on one machine.
 */
public final class AtomicFolder implements AutoCloseable {
    private final Path target;
    private final Path temporary;
    private boolean committed;

    private AtomicFolder(Path target, Path temporary) {
        this.target = target;
        this.temporary = temporary;
    }

    /**
     * Clears leftovers and makes the temporary folder; the folder the target lies in must exist.
     */
    public static AtomicFolder begin(Path target) {
        Path temporary = sibling(target, "tmp", ProcessHandle.current().pid());
        try {
            clearLeftovers(target);
            Files.createDirectory(temporary);
        } catch (IOException e) {
            throw AtomicFiles.cannotWrite(target, 0, e);
        }
        return new AtomicFolder(target, temporary);
    }

    /** Where to write the files. */
    public Path path() {
        return temporary;
    }

    /**
     * Forces all files to the disk and renames the folder to its name. A folder of that name is
     * replaced: it is moved aside first and deleted last, so that a whole one remains whatever
     * happens (whether to replace it is the caller's decision, before {@link #begin}).
     */
    public void commit() {
        Path aside = sibling(target, "old", ProcessHandle.current().pid());
        try {
            Files.walkFileTree(temporary, new Sync());
            boolean replaces = Files.exists(target);
            if (replaces) {
                Files.move(target, aside, StandardCopyOption.ATOMIC_MOVE);
            }
            Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
            committed = true;
            AtomicFiles.syncFolder(AtomicFiles.folderOf(target));
            if (replaces) {
                delete(aside);
            }
        } catch (IOException e) {
            throw AtomicFiles.cannotWrite(target, 0, e);
        }
    }

    /** Deletes the temporary folder unless it was committed. */
    @Override
    public void close() {
        if (!committed) {
            try {
                delete(temporary);
                restore(target, sibling(target, "old", ProcessHandle.current().pid()));
            } catch (IOException e) {
                throw AtomicFiles.cannotWrite(target, 0, e);
            }
        }
    }

    private static Path sibling(Path target, String kind, long pid) {
        return target.resolveSibling("." + target.getFileName() + "." + kind + "-" + pid);
    }

    /**
     * Clears up after processes that were killed while they built this folder, as {@link #begin}
     * does.
     */
    public static void clearUp(Path target) {
        try {
            clearLeftovers(target);
        } catch (IOException e) {
            throw AtomicFiles.cannotWrite(target, 0, e);
        }
    }

    /**
     * Removes what dead processes left; in a container that starts again the dead one's id may be
     * ours.
     */
    private static void clearLeftovers(Path target) throws IOException {
        String prefix = "." + target.getFileName() + ".";
        DirectoryStream.Filter<Path> ours =
                path -> path.getFileName().toString().startsWith(prefix);
        try (DirectoryStream<Path> leftovers =
                Files.newDirectoryStream(AtomicFiles.folderOf(target), ours)) {
            for (Path leftover : leftovers) {
                String rest = leftover.getFileName().toString().substring(prefix.length());
                if (!rest.matches("(tmp|old)-[0-9]{1,18}")
                        || isOfOtherLiving(Long.parseLong(rest.substring(4)))) {
                    continue;
                }
                if (rest.startsWith("tmp")) {
                    delete(leftover);
                } else {
                    restore(target, leftover);
                }
            }
        }
    }

    private static boolean isOfOtherLiving(long pid) {
        return pid != ProcessHandle.current().pid()
                && ProcessHandle.of(pid).map(ProcessHandle::isAlive).orElse(false);
    }

    /**
     * Puts a folder that was moved aside back, or deletes it if its successor made it to its place.
     */
    private static void restore(Path target, Path aside) throws IOException {
        if (Files.exists(target)) {
            delete(aside);
        } else if (Files.exists(aside)) {
            Files.move(aside, target, StandardCopyOption.ATOMIC_MOVE);
        }
    }

    private static void delete(Path folder) throws IOException {
        if (Files.exists(folder)) {
            Files.walkFileTree(folder, new Delete());
        }
    }

    private static final class Sync extends SimpleFileVisitor<Path> {
        @Override
        public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
                throws IOException {
            if (attributes.isRegularFile()) {
                try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
                    channel.force(true);
                }
            }
            return FileVisitResult.CONTINUE;
        }

        @Override
        public FileVisitResult postVisitDirectory(Path folder, @Nullable IOException failure)
                throws IOException {
            AtomicFiles.syncFolder(folder);
            return super.postVisitDirectory(folder, failure);
        }
    }

    private static final class Delete extends SimpleFileVisitor<Path> {
        @Override
        public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
                throws IOException {
            Files.delete(file);
            return FileVisitResult.CONTINUE;
        }

        @Override
        public FileVisitResult postVisitDirectory(Path folder, @Nullable IOException failure)
                throws IOException {
            Files.delete(folder);
            return FileVisitResult.CONTINUE;
        }
    }
}
