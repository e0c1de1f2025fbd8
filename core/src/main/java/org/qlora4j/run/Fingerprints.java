package org.qlora4j.run;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.StoredInfo;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.TrainingSet;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.model.ModelInit;
import org.qlora4j.model.ModelShape;
import org.qlora4j.plan.TrainingData;

/**
 * What a run was begun on, in hex: a resumed run must stand on the same. Empty where there was
 * none, or where an older version did not write it.
 *
 * @param data of the examples, see {@link TrainingSet#fingerprint}
 * @param heldOut of the held-out examples, without which evaluations do not compare
 * @param base of the weights of the base model, or of their names and sizes where they are drawn
 */
public record Fingerprints(String data, String heldOut, String base) {
    /** Pieces of a tensor that are read, at even distances: all of 65B weights is 130 GB. */
    private static final int PIECES = 32;

    private static final int PIECE_BYTES = 1 << 10;

    public static Fingerprints of(RunConfig config, ModelPlace model, TrainingData data) {
        TrainingSet heldOut = data.eval();
        boolean hasWeights = config.model().init() == ModelInit.CHECKPOINT;
        return new Fingerprints(
                data.train().fingerprint(),
                heldOut == null ? "" : heldOut.fingerprint(),
                hasWeights ? ofModel(model) : ofShape(model.shape()));
    }

    /**
     * SHA-256 over each tensor's name, type, shape and {@value #PIECES} pieces. The files' names
     * and places do not count, so that a model may be moved or cut into other shards. Training on,
     * or merging an adapter, changes nearly every element of some tensors, so that pieces tell.
     */
    private static String ofModel(ModelPlace model) {
        MessageDigest digest = sha256();
        try (Checkpoint checkpoint = model.open()) {
            for (String name : new TreeSet<>(checkpoint.names())) {
                StoredInfo info = checkpoint.info(name);
                add(digest, name + " " + info.type() + Arrays.toString(info.shape()) + "\n");
                try (Arena arena = Arena.ofConfined()) {
                    addPieces(digest, checkpoint.read(name, arena).data());
                }
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    /** SHA-256 over names and sizes of the weights that are drawn anew. */
    private static String ofShape(ModelShape shape) {
        MessageDigest digest = sha256();
        shape.linears().forEach(linear -> add(digest, linear + "\n"));
        shape.others().forEach(weight -> add(digest, weight + "\n"));
        return HexFormat.of().formatHex(digest.digest());
    }

    private static void add(MessageDigest digest, String line) {
        digest.update(line.getBytes(StandardCharsets.UTF_8));
    }

    private static void addPieces(MessageDigest digest, MemorySegment data) {
        long size = data.byteSize();
        if (size <= (long) PIECES * PIECE_BYTES) {
            digest.update(data.toArray(ValueLayout.JAVA_BYTE));
            return;
        }
        for (int i = 0; i < PIECES; i++) {
            long at = (size - PIECE_BYTES) / (PIECES - 1) * i;
            digest.update(data.asSlice(at, PIECE_BYTES).toArray(ValueLayout.JAVA_BYTE));
        }
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
