package org.qlora4j.run;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.qlora4j.config.ConfigMapper;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.error.ConfigException;
import tools.jackson.databind.JsonNode;

/** Finds where a run can go on. Refuses to go on with other data or settings than it began with. */
public final class ResumeCheck {
    /** Keys of section {@code train} that decide what a step computes. */
    private static final List<String> FIXED_OF_TRAIN =
            List.of(
                    "full_finetune",
                    "seed",
                    "data_seed",
                    "per_device_train_batch_size",
                    "gradient_accumulation_steps");

    private ResumeCheck() {}

    /** Refuses settings other than the run began with; asked before the model is loaded. */
    public static void requireSameSettings(RunFolder folder, RunConfig config) {
        requireSame(folder, fixed(RunConfigReader.read(folder.configFile())), fixed(config));
    }

    /** The newest whole checkpoint of the run; empty if it was ended before its first. */
    public static Optional<RunCheckpoint> newest(
            RunFolder folder, RunConfig config, Fingerprints now) {
        Optional<RunCheckpoint> newest = folder.newestWhole();
        if (newest.isEmpty() && folder.hasCheckpoints()) {
            throw ConfigException.of(
                    "%s holds no whole checkpoint to resume from; begin anew with another train.output_dir",
                    folder.path());
        }
        newest.ifPresent(checkpoint -> {
            String changed = checkpoint.state().origin().changedIn(now);
            if (changed != null) {
                throw ConfigException.of(
                        "%s: %s has changed since %s was saved; resume with the same, or begin a new run",
                        changed.endsWith("model")
                                ? config.model().modelNameOrPath()
                                : config.data().dataset(),
                        changed,
                        checkpoint.folder());
            }
        });
        return newest;
    }

    /** The settings that decide what a step computes, by key. */
    private static Map<String, JsonNode> fixed(RunConfig config) {
        Map<String, JsonNode> out = new LinkedHashMap<>();
        JsonNode tree = ConfigMapper.YAML.valueToTree(config);
        tree.forEachEntry((section, keys) ->
                keys.forEachEntry((key, value) -> {
                    boolean free = section.equals("train") && !FIXED_OF_TRAIN.contains(key);
                    if (!free && !section.equals("eval")) {
                        out.put(section + "." + key, value);
                    }
                }));
        out.remove("data.dataset"); // what was moved is the same: its fingerprint is compared
        out.remove("model.model_name_or_path");
        out.remove("model.stream_layers"); // where weights lie does not change what they are
        out.remove("data.eval_dataset");
        return out;
    }

    private static void requireSame(
            RunFolder folder, Map<String, JsonNode> then, Map<String, JsonNode> now) {
        then.forEach((key, value) -> {
            if (!value.equals(now.get(key))) {
                throw ConfigException.of(
                        "%s began with %s %s, now it is %s; resume with the same settings, or begin a new run",
                        folder.path(), key, value, now.get(key));
            }
        });
    }
}
