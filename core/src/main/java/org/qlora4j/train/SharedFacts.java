package org.qlora4j.train;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.ConfigMapper;
import org.qlora4j.config.RunConfig;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.run.Fingerprints;
import org.qlora4j.run.RunCheckpoint;
import org.qlora4j.tensor.Engine;

/**
 * What all processes of a run must have in common, by name. With other kernels the same update
 * rounds otherwise, and weights that should be equal would drift apart.
 */
final class SharedFacts {
    /**
     * Settings that may differ: places of what has a fingerprint, and the strength of a machine.
     */
    private static final Set<String> FREE =
            Set.of(
                    "model.model_name_or_path",
                    "model.stream_layers",
                    "data.dataset",
                    "data.eval_dataset",
                    "distill.teacher",
                    "train.output_dir",
                    "train.threads");

    private SharedFacts() {}

    /**
     * The facts of this process.
     *
     * @param start the checkpoint that a run goes on from, or null
     */
    static Map<String, String> of(
            RunConfig config, Fingerprints origin, @Nullable RunCheckpoint start) {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("the qlora4j jar (SHA-256)", library());
        facts.put("libtorch", Engine.libtorchVersion());
        facts.put("the instruction set", Kernels.current().name() + ", " + Engine.cpuCapability());
        facts.put("the base model (SHA-256)", origin.base());
        facts.put("the data (SHA-256)", origin.data());
        facts.put("the held-out data (SHA-256)", origin.heldOut());
        facts.put("the newest checkpoint", start == null ? "none" : "" + start.state().step());
        ConfigMapper.YAML
                .valueToTree(config)
                .forEachEntry((section, keys) ->
                        keys.forEachEntry((key, value) -> {
                            String name = section + "." + key;
                            if (!FREE.contains(name)) {
                                facts.put(name, value.toString());
                            }
                        }));
        return facts;
    }

    /** A hash of the jar that this class is in; the name of what else it is in. */
    private static String library() {
        CodeSource source = SharedFacts.class.getProtectionDomain().getCodeSource();
        if (source == null) {
            return "unknown";
        }
        try {
            Path place = Path.of(source.getLocation().toURI());
            return Files.isRegularFile(place) ? RunCheckpoint.sha256(place) : "no jar";
        } catch (IOException | URISyntaxException e) {
            return "unreadable";
        }
    }
}
