package org.qlora4j.run;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.TrainingSet;
import org.qlora4j.error.FormatException;
import org.qlora4j.family.Models;
import org.qlora4j.model.ModelInit;
import org.qlora4j.plan.TrainingData;

/**
 * What a run was begun on, in hex: a resumed run must stand on the same. Empty where there was
 * none, or where an older version did not write it.
 *
 * @param data of the examples, see {@link TrainingSet#fingerprint}
 * @param heldOut of the held-out examples, without which evaluations do not compare
 * @param base of the files of the base model
 */
public record Fingerprints(String data, String heldOut, String base) {
    /** Bytes read at either end of a weight file: a whole one of 65B is 130 GB. */
    private static final int END = 1 << 20;

    public static Fingerprints of(RunConfig config, TrainingData data) {
        TrainingSet heldOut = data.eval();
        boolean hasWeights = config.model().init() == ModelInit.CHECKPOINT;
        return new Fingerprints(
                data.set().fingerprint(),
                heldOut == null ? "" : heldOut.fingerprint(),
                hasWeights ? ofModel(Path.of(config.model().modelNameOrPath())) : "");
    }

    /**
     * SHA-256 over each weight file's name, size, first and last MiB. Weights that were trained
     * further differ in all of their bytes, so that the ends tell; the folder may be moved.
     */
    private static String ofModel(Path model) {
        MessageDigest digest = sha256();
        try (Checkpoint checkpoint = Checkpoint.open(Models.locate(model))) {
            for (Path file : checkpoint.files()) {
                add(digest, file);
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private static void add(MessageDigest digest, Path file) {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long size = channel.size();
            String name = file.getFileName() + " " + size + "\n";
            digest.update(name.getBytes(StandardCharsets.UTF_8));
            addBytes(digest, channel, 0, Math.min(size, END));
            addBytes(digest, channel, Math.max(0, size - END), Math.min(size, END));
        } catch (IOException e) {
            throw new FormatException(file + " cannot be read: " + AtomicFiles.reason(e), e);
        }
    }

    private static void addBytes(MessageDigest digest, FileChannel channel, long from, long count)
            throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate((int) count);
        while (bytes.hasRemaining()) {
            if (channel.read(bytes, from + bytes.position()) < 0) {
                throw new IOException("it shrinks while it is read");
            }
        }
        digest.update(bytes.flip());
    }

    /**
     * What has changed since, as the subject of a sentence; null where nothing has.
     *
     * @param now the fingerprints of this process
     */
    @Nullable String changedIn(Fingerprints now) {
        if (!data.equals(now.data)) {
            return "the data";
        }
        if (!heldOut.isEmpty() && !heldOut.equals(now.heldOut)) {
            return "the held-out data";
        }
        return base.isEmpty() || base.equals(now.base) ? null : "the base model";
    }

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
