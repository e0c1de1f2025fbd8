package org.qlora4j.export;

import java.nio.file.Path;
import java.util.Objects;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.family.Families;
import org.qlora4j.family.Models;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.lora.WeightChanges;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.LoadedModel;
import org.qlora4j.model.ModelShape;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;

/** Each target of a merge as a model in memory, and what they are compared with. */
public final class MergedModels {
    private MergedModels() {}

    /** A model and the adapter on it, closed together. */
    public record Adapted(CausalModel model, LoraAdapter adapter) implements AutoCloseable {
        @Override
        public void close() {
            adapter.close();
            model.close();
        }
    }

    /** The base as training held it, with the adapter beside its weights; the caller closes it. */
    public static Adapted adapted(AdapterMerge merge) {
        DType compute = merge.trainedWith().computeDtype().onThisMachine();
        CausalModel model = Models.load(merge.model(), merge.trainedWith(), compute, false, null);
        try {
            int rows = model.vocabularySize();
            model.resizeVocabulary(
                    Math.max(rows, PeftAdapter.tableRows(adapterOf(merge)).orElse(rows)));
            LoraAdapter adapter =
                    PeftAdapter.load(
                            adapterOf(merge), model.linears(), model.parameters(), compute);
            return new Adapted(model, adapter);
        } catch (RuntimeException | Error e) {
            model.close();
            throw e;
        }
    }

    private static Path adapterOf(AdapterMerge merge) {
        return Objects.requireNonNull(merge.adapter(), "there is an adapter to compare with");
    }

    /**
     * A target as {@link AdapterMerge#write} would write it, without the files; the caller closes
     * it.
     *
     * @param folder of any target that was written: its config says how many tokens there are
     */
    public static CausalModel merged(AdapterMerge merge, MergeTarget target, Path folder) {
        QuantConfig trained = merge.trainedWith();
        try (Checkpoint checkpoint = merge.model().open();
                WeightChanges stored = merge.open()) {
            ModelShape shape = merge.model().shape();
            return LoadedModel.read(
                    Families.shape(folder),
                    merge.merged(checkpoint, stored, shape, target),
                    trained.withLoad4bit(target == MergeTarget.NF4),
                    trained.computeDtype().onThisMachine(),
                    false,
                    null);
        }
    }
}
