package org.qlora4j.export;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.qlora4j.error.ConfigException;
import org.qlora4j.lora.Combination;
import org.qlora4j.lora.CombinedAdapters;
import org.qlora4j.lora.StoredAdapter;
import org.qlora4j.lora.WeightChanges;

/**
 * Which adapters are worked into a model, and how much of each.
 *
 * @param folders with PEFT's files; the first one's tokenizer and chat template count
 * @param weights of each
 * @param how they become one, where there are several
 * @param density share of entries that are kept, where the combination prunes
 */
public record AdapterMix(
        List<Path> folders, List<Double> weights, Combination how, double density) {
    /** Share of entries that are kept, unless another one is given. */
    public static final double DENSITY = 0.5;

    public AdapterMix {
        folders = List.copyOf(folders);
        weights = List.copyOf(weights);
        if (folders.size() != weights.size()) {
            throw ConfigException.of(
                    "--weights must have a number for each --adapter; got %d numbers for %d adapters",
                    weights.size(), folders.size());
        }
        if (!(density > 0) || density > 1) {
            throw ConfigException.of("--density must be above 0 and at most 1, got %s", density);
        }
        if (!weights.stream().allMatch(Double::isFinite)) {
            throw ConfigException.of("--weights must be finite numbers, got %s", weights);
        }
    }

    /** One adapter, as it is. */
    public static AdapterMix of(Path folder) {
        return new AdapterMix(List.of(folder), List.of(1.0), Combination.CAT, DENSITY);
    }

    /** The first adapter. */
    public Path first() {
        return folders.getFirst();
    }

    /** Whether it is one adapter as it is. */
    public boolean isSingle() {
        return folders.size() == 1 && weights.getFirst() == 1;
    }

    /** Opens the adapters; the caller closes what it gets. */
    WeightChanges open() {
        if (isSingle()) {
            return StoredAdapter.open(first());
        }
        List<StoredAdapter> opened = new ArrayList<>();
        try {
            folders.forEach(folder -> opened.add(StoredAdapter.open(folder)));
            return new CombinedAdapters(opened, weights, how, density);
        } catch (RuntimeException | Error e) {
            opened.forEach(StoredAdapter::close);
            throw e;
        }
    }
}
