package org.qlora4j.train;

import java.util.List;
import org.qlora4j.error.ConfigException;

/**
 * Finds where a run can go on, and refuses to go on with other data or settings than it began with.
 */
final class ResumeCheck {
    private ResumeCheck() {}

    /** The newest whole checkpoint of the run. */
    static RunCheckpoint newest(RunFolder folder, RunConfig config, String dataFingerprint) {
        RunCheckpoint newest =
                folder.newestWhole()
                        .orElseThrow(() ->
                                ConfigException.of(
                                        "%s holds no whole checkpoint to resume from; begin anew with another"
                                                + " train.output_dir",
                                        folder.path()));
        requireSame(folder, fixed(RunConfigReader.read(folder.configFile())), fixed(config));
        if (!newest.state().dataFingerprint().equals(dataFingerprint)) {
            throw ConfigException.of(
                    "%s: the data has changed since %s was saved; resume with the same file, or begin a new run",
                    config.data().dataset(), newest.folder());
        }
        return newest;
    }

    /** Lines of the settings that decide what a step computes. */
    private static List<String> fixed(RunConfig c) {
        TrainConfig t = c.train();
        String sections =
                RunConfigWriter.toYaml(
                        new RunConfig(
                                c.version(),
                                c.model(),
                                c.quantization(),
                                c.lora(),
                                c.data(),
                                TrainConfig.DEFAULT));
        return List.of(
                (sections
                                + "  seed: "
                                + t.seed()
                                + "\n"
                                + "  data_seed: "
                                + t.dataSeed()
                                + "\n"
                                + "  per_device_train_batch_size: "
                                + t.perDeviceTrainBatchSize()
                                + "\n"
                                + "  gradient_accumulation_steps: "
                                + t.gradientAccumulationSteps()
                                + "\n")
                        .split("\n", -1));
    }

    private static void requireSame(RunFolder folder, List<String> then, List<String> now) {
        for (int i = 0; i < Math.min(then.size(), now.size()); i++) {
            if (!then.get(i).equals(now.get(i))) {
                throw ConfigException.of(
                        "%s began with \"%s\", now it is \"%s\"; resume with the same settings, or begin a new run",
                        folder.path(), then.get(i).strip(), now.get(i).strip());
            }
        }
    }
}
