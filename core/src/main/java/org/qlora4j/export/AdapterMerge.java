package org.qlora4j.export;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.AtomicFolder;
import org.qlora4j.checkpoint.Bnb4bit;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.SafetensorsShards;
import org.qlora4j.checkpoint.SpoolFile;
import org.qlora4j.checkpoint.StoredInfo;
import org.qlora4j.checkpoint.StoredQuantized;
import org.qlora4j.checkpoint.StoredTensor;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.error.ConfigException;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.lora.WeightChanges;
import org.qlora4j.model.ModelShape;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import tools.jackson.databind.node.ObjectNode;

/**
 * A model and an adapter in, one model without adapter out, as a folder that transformers loads.
 * Weights are read, merged and written one at a time, so that memory holds one of them however
 * large the model is.
 *
 * @param model the base model
 * @param adapters what is worked in; null to write the model as it is
 * @param template the chat template that the adapter was trained with; null for the model's own
 * @param trainedWith how training held the weights
 * @param card text of the model card; null for none
 */
public record AdapterMerge(
        ModelPlace model,
        @Nullable AdapterMix adapters,
        @Nullable String template,
        QuantConfig trainedWith,
        @Nullable String card) {
    /**
     * What was written.
     *
     * @param bytes of the weights
     * @param files with weights
     * @param tensors written, a weight in 4 bits counted once
     * @param type of the merged weights, such as {@code bfloat16} or {@code nf4}
     * @param loss what rounding the merged weights cost
     */
    public record Result(long bytes, int files, int tensors, String type, RoundingLoss loss) {}

    /**
     * Writes the merged model.
     *
     * @param out a folder that does not exist yet; it appears whole or not at all
     * @throws ConfigException if there is something at {@code out}
     * @throws org.qlora4j.error.FormatException if model and adapter do not belong together
     */
    public Result write(MergeTarget into, Path out) {
        if (Files.exists(out)) {
            throw ConfigException.of("%s exists; name a new folder for the merged model", out);
        }
        return Engine.call(() -> {
            try (Checkpoint checkpoint = model.open();
                    WeightChanges stored = open()) {
                ModelShape shape = model.shape();
                MergedCheckpoint merged = merged(checkpoint, stored, shape, into);
                try (AtomicFolder building = AtomicFolder.begin(out.toAbsolutePath());
                        SpoolFile spool = new SpoolFile(building.path())) {
                    Result result = write(merged, stored, shape, into, building.path(), spool);
                    building.commit();
                    return result;
                }
            }
        });
    }

    /** The folder whose tokenizer and chat template count; null without an adapter. */
    @Nullable Path adapter() {
        return adapters == null ? null : adapters.first();
    }

    /** The adapters as one, null for none; the caller closes it. */
    @Nullable WeightChanges open() {
        return adapters == null ? null : adapters.open();
    }

    /** The merged weights, made as they are read; opened on the engine's thread. */
    MergedCheckpoint merged(
            Checkpoint checkpoint,
            @Nullable WeightChanges stored,
            ModelShape shape,
            MergeTarget into) {
        MergedCheckpoint merged =
                new MergedCheckpoint(
                        checkpoint,
                        stored,
                        into == MergeTarget.ORIGINAL || !trainedWith.load4bit()
                                ? null
                                : trainedWith,
                        shape);
        boolean ownHead = shape.hasOwnHead() && merged.has(shape.headTable());
        if (stored != null) {
            stored.requireFits(merged.names(), ownHead ? null : "lm_head.weight");
        }
        return merged;
    }

    private Result write(
            MergedCheckpoint merged,
            @Nullable WeightChanges stored,
            ModelShape shape,
            MergeTarget into,
            Path folder,
            SpoolFile spool)
            throws IOException {
        String type = dtype(merged, shape);
        writeCompanions(merged, stored, shape, into, folder);
        if (card != null) {
            AtomicFiles.writeText(folder.resolve("README.md"), card);
        }
        RoundingLoss in4bits = new RoundingLoss();
        SafetensorsShards shards = new SafetensorsShards(SafetensorsShards.SHARD_BYTES);
        for (String name : merged.names()) {
            if (into == MergeTarget.NF4 && merged.isLinear(name)) {
                try (Arena arena = Arena.ofConfined()) {
                    Bnb4bit.add(shards, spooled(in4bits(merged, name, in4bits, arena), spool));
                }
            } else {
                addAsIs(shards, merged, name);
            }
        }
        int files = shards.write(folder);
        boolean quantized = into == MergeTarget.NF4;
        return new Result(
                shards.bytes(),
                files,
                merged.names().size(),
                quantized ? trainedWith.type().key() : type,
                quantized ? in4bits : merged.loss());
    }

    /** The type of the first linear layer, which stands for the model. */
    private static String dtype(MergedCheckpoint merged, ModelShape shape) {
        String first = shape.linears().getFirst().path() + ".weight";
        return ModelFolder.name(DType.valueOf(merged.info(first).type().name()));
    }

    private static void addAsIs(SafetensorsShards shards, MergedCheckpoint merged, String name) {
        StoredInfo info = merged.info(name);
        shards.add(
                name,
                info.type(),
                info.shape(),
                sink -> {
                    try (Arena arena = Arena.ofConfined()) {
                        StoredTensor tensor = merged.read(name, arena);
                        sink.accept(tensor.data());
                        tensor.unload();
                    }
                });
    }

    private StoredQuantized in4bits(
            MergedCheckpoint merged, String name, RoundingLoss loss, Arena arena) {
        DType before = DType.valueOf(merged.info(name).type().name());
        QuantConfig config = trainedWith.withLoad4bit(true);
        try (TensorScope scope = TensorScope.open()) {
            Tensor base = merged.before(name);
            Tensor wanted = merged.merged(name);
            try (QuantizedMatrix matrix = QuantizedMatrix.quantize(wanted, config)) {
                loss.add(base, wanted, matrix.dequantize(DType.F32));
                return TensorBytes.toStored(name, matrix, before, arena);
            }
        }
    }

    /** Scales and codes of all weights are made before the first byte of a file can be written. */
    private static StoredQuantized spooled(StoredQuantized weight, SpoolFile spool) {
        MemorySegment codes = spool.append(weight.codes());
        MemorySegment absmax = spool.append(weight.absmax());
        StoredQuantized.Nested nested = weight.nested();
        return new StoredQuantized(
                weight.name(),
                weight.quantType(),
                weight.blockSize(),
                weight.dtype(),
                weight.shape(),
                codes,
                absmax,
                nested == null
                        ? null
                        : new StoredQuantized.Nested(
                                spool.append(nested.absmax()),
                                nested.offset(),
                                nested.map(),
                                nested.blockSize()),
                weight.quantMap());
    }

    /** Writes all files but the weights into an existing folder. */
    void writeCompanions(
            MergedCheckpoint merged,
            @Nullable WeightChanges stored,
            ModelShape shape,
            MergeTarget into,
            Path folder) {
        String type = dtype(merged, shape);
        ObjectNode config = ModelFolder.readConfig(model.folder());
        config.remove("quantization_config");
        config.remove("torch_dtype");
        config.put("dtype", type);
        int own = shape.vocabularySize();
        int rows = stored == null ? own : stored.rows(own);
        if (rows != shape.vocabularySize()) {
            config.put("vocab_size", rows);
        }
        boolean tied = !merged.has(shape.headTable()) || !shape.hasOwnHead();
        if (tied || config.has("tie_word_embeddings")) {
            config.put("tie_word_embeddings", tied);
        }
        if (into == MergeTarget.NF4) {
            config.set(
                    "quantization_config",
                    ModelFolder.quantizationConfig(trainedWith, type, List.of()));
        }
        ModelFolder.writeConfig(config, folder);
        CompanionFiles.write(model.folder(), adapter(), template, shape.eosIds(), folder);
    }
}
