package org.qlora4j.app;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.qlora4j.error.ConfigException;
import org.qlora4j.export.AdapterMix;
import org.qlora4j.lora.Combination;
import org.qlora4j.run.AdapterFolder;
import picocli.CommandLine.Option;

/** Which adapters a command works into a model, and how several become one. */
final class AdapterOptions {
    @Option(
            names = "--adapter",
            paramLabel = "DIR",
            description =
                    "A PEFT adapter, or a run, whose newest checkpoint is taken. Given again, several become one.")
    List<Path> paths = new ArrayList<>();

    @Option(
            names = "--weights",
            split = ",",
            paramLabel = "W,W",
            description = "How much of each adapter counts (1 each).")
    List<Double> weights = new ArrayList<>();

    @Option(
            names = "--combine",
            paramLabel = "cat|linear|ties|magnitude_prune",
            description =
                    "How, as PEFT's add_weighted_adapter names it: cat, the sum of what they change, takes adapters of any kind (cat).")
    String combine = Combination.CAT.key();

    @Option(
            names = "--density",
            paramLabel = "SHARE",
            description = "Share of entries that ties and magnitude_prune keep (0.5).")
    double density = AdapterMix.DENSITY;

    /** Throws unless there is an adapter. */
    void require(String what) {
        if (paths.isEmpty()) {
            throw ConfigException.of("%s needs an adapter; name one as --adapter", what);
        }
    }

    /** Throws unless there is exactly one adapter, as it is. */
    Path only(String what) {
        require(what);
        if (paths.size() > 1 || !weights.isEmpty()) {
            throw ConfigException.of(
                    "%s takes one adapter as it is; work several into the model with --format gguf or qlora merge",
                    what);
        }
        return AdapterFolder.of(paths.getFirst()).files();
    }

    /** The adapters, of which there is one at least. */
    AdapterMix mix() {
        List<Path> folders = paths.stream().map(path -> AdapterFolder.of(path).files()).toList();
        List<Double> all = weights.isEmpty() ? Collections.nCopies(folders.size(), 1.0) : weights;
        return new AdapterMix(folders, all, Combination.of(combine), density);
    }
}
