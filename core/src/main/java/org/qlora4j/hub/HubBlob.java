package org.qlora4j.hub;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Objects;
import java.util.function.Consumer;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Preparation;

/**
 * One file on its way into the cache: {@code blobs/ETAG.incomplete}, which a later try goes on
 * with, then {@code blobs/ETAG} once it is whole, then a link from the snapshot.
 */
final class HubBlob {
    private static final int MEGABYTE = 1_000_000;
    private static final int TRIES = 3;
    private static final long SAID_BYTES = 16 << 20;

    /** Bytes of a file whose size the hub does not say. */
    private static final long MAX_UNANNOUNCED = 64 << 20;

    private HubBlob() {}

    /**
     * Downloads a file, unless another name has it already.
     *
     * @param target where it stands in the snapshot
     */
    static synchronized void fetch( // one at a time: file locks do not keep threads apart
            HubClient client,
            HubSettings settings,
            HubListing listing,
            String file,
            Path target,
            Consumer<String> notices)
            throws IOException {
        HubRepo repo = listing.repo();
        HubClient.FileInfo info = client.inspect(repo, listing.commit(), file);
        Path folder = repo.folder(settings.cache());
        Path blob = folder.resolve("blobs").resolve(info.etag());
        Path locks = settings.cache().resolve(".locks").resolve(folder.getFileName());
        Files.createDirectories(locks);
        Files.createDirectories(blob.getParent());
        try (FileChannel channel =
                        FileChannel.open(
                                locks.resolve(info.etag() + ".lock"),
                                StandardOpenOption.CREATE,
                                StandardOpenOption.WRITE);
                FileLock _ = channel.lock()) {
            if (!Files.exists(blob)) {
                if (info.size() >= SAID_BYTES) {
                    notices.accept(
                            "downloading %s of %s, %d MB"
                                    .formatted(file, repo, info.size() / MEGABYTE));
                }
                Path part = blob.resolveSibling(info.etag() + ".incomplete");
                for (int attempt = 1; ; attempt++) {
                    try {
                        complete(client, listing, file, part, info.size());
                        break;
                    } catch (IOException e) {
                        if (attempt == TRIES) {
                            throw e;
                        }
                    }
                }
                verify(repo, file, part, info.etag());
                Files.move(part, blob, StandardCopyOption.ATOMIC_MOVE);
            }
        }
        link(blob, target);
    }

    private static void complete(
            HubClient client, HubListing listing, String file, Path part, long size)
            throws IOException {
        long have = Files.exists(part) ? Files.size(part) : 0;
        if (size >= 0 && have > size) {
            Files.delete(part);
            have = 0;
        }
        if (size > Files.getFileStore(part.getParent()).getUsableSpace()) {
            throw FormatException.of(
                    "%s: %s has %d bytes by the hub's word, more than there is room for in %s",
                    listing.repo(), file, size, part.getParent());
        }
        if (size < 0 || have < size) {
            long most = size < 0 ? MAX_UNANNOUNCED : size;
            var download = client.download(listing.repo(), listing.commit(), file, have, most);
            try (InputStream in = download.body();
                    OutputStream out =
                            Files.newOutputStream(
                                    part,
                                    StandardOpenOption.CREATE,
                                    StandardOpenOption.WRITE,
                                    download.isPart()
                                            ? StandardOpenOption.APPEND
                                            : StandardOpenOption.TRUNCATE_EXISTING);
                    Preparation stage =
                            Preparation.begin(
                                    "downloading " + file, Math.max(0, size) / MEGABYTE, "MB")) {
                byte[] some = new byte[1 << 16];
                long arrived = download.isPart() ? have : 0;
                for (int n = in.read(some); n >= 0; n = in.read(some)) {
                    out.write(some, 0, n);
                    arrived += n;
                    stage.at(arrived / MEGABYTE);
                }
            } catch (WatchedBody.TooLong e) {
                Files.delete(part);
                throw new FormatException(
                        "%s: %s is longer than the hub announced (%s)"
                                .formatted(listing.repo(), file, e.getMessage()),
                        e);
            }
        } else if (have == 0) {
            Files.createFile(part);
        }
        if (size >= 0 && Files.size(part) != size) {
            throw new IOException("%d of %d bytes arrived".formatted(Files.size(part), size));
        }
    }

    /** An ETag of 64 hex digits is a SHA-256, one of 40 git's SHA-1, which counts the length in. */
    private static void verify(HubRepo repo, String file, Path part, String etag)
            throws IOException {
        boolean isSha256 = etag.matches("[0-9a-f]{64}");
        if (!isSha256 && !etag.matches("[0-9a-f]{40}")) {
            return; // a mirror's own; the length has been compared
        }
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance(isSha256 ? "SHA-256" : "SHA-1");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256 and SHA-1", e);
        }
        if (!isSha256) {
            digest.update(("blob " + Files.size(part) + "\0").getBytes(StandardCharsets.US_ASCII));
        }
        try (InputStream in = Files.newInputStream(part)) {
            byte[] buffer = new byte[1 << 16];
            for (int read; (read = in.read(buffer)) >= 0; ) {
                digest.update(buffer, 0, read);
            }
        }
        String found = HexFormat.of().formatHex(digest.digest());
        if (!found.equals(etag)) {
            Files.delete(part);
            throw FormatException.of(
                    "%s: %s arrived damaged: its checksum is %s, the hub announced %s; try again",
                    repo, file, found, etag);
        }
    }

    /** A relative link, as huggingface_hub makes it; a copy where the system has no links. */
    private static void link(Path blob, Path target) throws IOException {
        Path folder =
                Objects.requireNonNull(target.getParent(), "a file of a snapshot has a folder");
        Path relative = folder.relativize(blob);
        Files.createDirectories(folder);
        try {
            Files.createSymbolicLink(target, relative);
        } catch (FileAlreadyExistsException e) {
            if (!Files.exists(target)) { // a link to what is gone
                Files.delete(target);
                Files.createSymbolicLink(target, relative);
            }
        } catch (UnsupportedOperationException | IOException e) {
            Files.copy(blob, target, StandardCopyOption.REPLACE_EXISTING);
        }
    }
}
