package org.qlora4j.run;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.AtomicFolder;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.FormatException;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.Engine;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/**
 * A checkpoint of a run: PEFT's files of the adapter or those of the whole model, {@code
 * optimizer.safetensors}, {@code trainer_state.json} with the keys of the Hugging Face trainer, and
 * {@code qlora4j.json} with a checksum of each of them and of itself. It is written under another
 * name and renamed when all of it is on disk. An adapter's also has a model card.
 *
 * @param folder it lies in
 * @param state how far the run had come
 */
public record RunCheckpoint(Path folder, TrainerState state) {
    /** Written last: a checkpoint with it is whole. */
    static final String SEAL = "qlora4j.json";

    public static final String OPTIMIZER_FILE = "optimizer.safetensors";
    private static final String STATE_FILE = "trainer_state.json";

    /** For people, who may write in it: it has no checksum. */
    public static final String CARD = "README.md";

    private static final String CHECKSUM = "checksum";
    private static final int FORMAT = 1;
    private static final JsonMapper JSON =
            JsonMapper.builder()
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .enable(SerializationFeature.INDENT_OUTPUT)
                    .build();

    /**
     * Writes a checkpoint; afterwards the folder is there and whole, or it is not there.
     *
     * @param weights writes what was learnt, and the optimizer's {@link #OPTIMIZER_FILE}, into the
     *     folder it is given
     */
    public static RunCheckpoint save(Path target, TrainerState state, Consumer<Path> weights) {
        try (AtomicFolder building = AtomicFolder.begin(target)) {
            Path folder = building.path();
            weights.accept(folder);
            AtomicFiles.writeText(
                    folder.resolve(STATE_FILE), JSON.writeValueAsString(state.toJson()) + "\n");
            AtomicFiles.writeText(
                    folder.resolve(SEAL),
                    JSON.writeValueAsString(seal(folder, state.origin())) + "\n");
            building.commit();
        }
        return new RunCheckpoint(target, state);
    }

    private static Map<String, Object> seal(Path folder, Fingerprints origin) {
        Map<String, Object> environment = new LinkedHashMap<>();
        environment.put("threads", Engine.threads());
        environment.put("device", Kernels.current().deviceName());
        environment.put("kernels", Kernels.current().name());
        environment.put("java", Runtime.version().toString());
        environment.put("os", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
        Map<String, Object> seal = new LinkedHashMap<>();
        seal.put("format", FORMAT);
        seal.put("data_fingerprint", origin.data());
        seal.put("held_out_fingerprint", origin.heldOut());
        seal.put("base_fingerprint", origin.base());
        seal.put("environment", environment);
        seal.put("sha256", checksums(folder));
        seal.put(CHECKSUM, checksum(JSON.valueToTree(seal)));
        return seal;
    }

    /** SHA-256 of the seal itself, written without indents and without this key. */
    private static String checksum(JsonNode seal) {
        byte[] compact = seal.toString().getBytes(StandardCharsets.UTF_8);
        return HexFormat.of().formatHex(Fingerprints.sha256().digest(compact));
    }

    private static Map<String, String> checksums(Path folder) {
        Map<String, String> out = new TreeMap<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.filter(f -> !f.endsWith(CARD)).toList()) {
                out.put(file.getFileName().toString(), sha256(file));
            }
        } catch (IOException e) {
            throw new DeviceException(folder + " cannot be read: " + e, e);
        }
        return out;
    }

    /** SHA-256 of a file, in hexadecimal digits. */
    public static String sha256(Path file) throws IOException {
        MessageDigest digest = Fingerprints.sha256();
        try (InputStream in = new DigestInputStream(Files.newInputStream(file), digest)) {
            in.transferTo(OutputStream.nullOutputStream());
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    /**
     * The checkpoint in a folder, if every file has the checksum it was written with.
     *
     * @throws FormatException if a later version of qlora4j wrote it
     */
    public static Optional<RunCheckpoint> ifWhole(Path folder) {
        Path seal = folder.resolve(SEAL);
        if (!Files.isRegularFile(seal)) {
            return Optional.empty();
        }
        try {
            if (!(JSON.readTree(seal) instanceof ObjectNode json)
                    || !(json.remove(CHECKSUM) instanceof StringNode checksum)
                    || !checksum.stringValue().equals(checksum(json))) {
                return Optional.empty();
            }
            int format = json.path("format").asInt(0);
            if (format > FORMAT) {
                throw FormatException.of(
                        "%s has format %d, this version reads up to %d; use the newer qlora4j that wrote it",
                        seal, format, FORMAT);
            }
            for (Map.Entry<String, JsonNode> written : json.path("sha256").properties()) {
                Path file = folder.resolve(written.getKey());
                if (!Files.isRegularFile(file)
                        || !sha256(file).equals(written.getValue().asString(""))) {
                    return Optional.empty();
                }
            }
            TrainerState state =
                    TrainerState.of(
                            JSON.readTree(folder.resolve(STATE_FILE)),
                            new Fingerprints(
                                    json.path("data_fingerprint").asString(""),
                                    json.path("held_out_fingerprint").asString(""),
                                    json.path("base_fingerprint").asString("")));
            return Optional.of(new RunCheckpoint(folder, state));
        } catch (IOException | JacksonException | InvalidPathException e) {
            return Optional.empty();
        }
    }

    public Path optimizerFile() {
        return folder.resolve(OPTIMIZER_FILE);
    }
}
