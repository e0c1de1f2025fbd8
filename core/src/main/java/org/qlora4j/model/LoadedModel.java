package org.qlora4j.model;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Head;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.autograd.Weight;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.Notice;
import org.qlora4j.error.Preparation;
import org.qlora4j.lora.LinearLayer;
import org.qlora4j.lora.PrincipalParts;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** A {@link CausalModel} of any family: its {@link Decoder} and the weights it was built from. */
public final class LoadedModel implements CausalModel {
    private ModelShape shape;
    private final Decoder decoder;
    private final WeightLoader loader;
    private int vocabularySize;
    private @Nullable ClassifierHead checkpointHead; // once it was given other classes
    private @Nullable Checkpoint streamed;

    /**
     * Reads a model whose checkpoint has all weights; arguments as for {@link #read(Stage,
     * Checkpoint, long, double, QuantConfig, DType, boolean, PrincipalParts)}.
     */
    public static CausalModel read(
            ModelShape shape,
            Checkpoint checkpoint,
            QuantConfig quantization,
            DType compute,
            boolean trainable,
            @Nullable PrincipalParts principals) {
        return read(
                Stage.whole(shape),
                checkpoint,
                0,
                0.02,
                quantization,
                compute,
                trainable,
                principals);
    }

    /**
     * Reads the weights of a checkpoint, tensor by tensor, quantizing linears as they come. The
     * caller closes the model.
     *
     * @param stage whose weights are read
     * @param seed of the weights of a head that the checkpoint does not have
     * @param std standard deviation of these
     * @param quantization how linear weights are held
     * @param compute dtype of values between layers: BF16, F32 or F64
     * @param trainable whether all weights learn; they are then not quantized
     * @param principals what takes weights of linears apart; null to leave them whole
     */
    public static CausalModel read(
            Stage stage,
            Checkpoint checkpoint,
            long seed,
            double std,
            QuantConfig quantization,
            DType compute,
            boolean trainable,
            @Nullable PrincipalParts principals) {
        ModelShape shape = stage.shape();
        boolean keeps = quantization.keepStored();
        if (keeps) {
            KeptBlocks.of(checkpoint, shape).sayRest();
        }
        StoredWeights source =
                new StoredWeights(checkpoint, shape, new WeightSource.Random(seed, std, 1), keeps);
        WeightLoader loader =
                new WeightLoader(source, quantization, compute, trainable, principals);
        loader.divide(stage);
        CausalModel model =
                buildTold(
                        shape,
                        quantization.quantizes() && !source.anyQuantized()
                                ? "quantizing weights"
                                : "loading weights",
                        loader);
        sayAll(source.unused(), source.drawn());
        return model;
    }

    private static void sayAll(@Nullable String... lines) {
        for (@Nullable String line : lines) {
            if (line != null) {
                Notice.say(line);
            }
        }
    }

    /**
     * Builds a model whose layers stay in the checkpoint, from which they are read as they are used
     * ({@link LayerStream}). All weights are read once, and so checked; arguments as for {@link
     * #read}.
     *
     * @param checkpoint the model's, once this has returned, which closes it
     * @throws ConfigException if no linear layer is in 4 bits or blocks there
     */
    public static CausalModel stream(
            ModelShape shape,
            Checkpoint checkpoint,
            long seed,
            double std,
            QuantConfig quantization,
            DType compute) {
        boolean keeps = quantization.keepStored();
        StoredWeights source =
                new StoredWeights(checkpoint, shape, new WeightSource.Random(seed, std, 1), keeps);
        LayerStream stream = new LayerStream(source);
        WeightLoader loader = new WeightLoader(source, quantization, compute, false, null);
        loader.stream(stream);
        LoadedModel model = buildTold(shape, "checking weights", loader);
        if (stream.layers() == 0) {
            model.close();
            throw nothingToStream(checkpoint);
        }
        model.streamed = checkpoint;
        sayAll(
                source.unused(),
                source.drawn(),
                "%s: %d layers of %.1f MiB are read from disk as they are used, two at a time at most: %.1f MiB"
                        .formatted(
                                checkpoint.folder(),
                                stream.layers(),
                                stream.storedBytes() / 0x1p20,
                                stream.heldBytes() / 0x1p20));
        return model;
    }

    /** The error for layers that are to be read as they are used, and are too large as stored. */
    public static ConfigException nothingToStream(Checkpoint checkpoint) {
        Path file = checkpoint.files().getFirst();
        boolean blocks = file.toString().endsWith(".gguf");
        return ConfigException.of(
                "model.stream_layers is true, but %s holds no layer in 4 bits, as they are read while training; store"
                        + " it so with qlora quantize --model %s --out DIR and name DIR%s",
                checkpoint.folder(),
                blocks ? file : checkpoint.folder(),
                blocks
                        ? ", or set quantization.keep_quantization=true, which takes its blocks"
                        : "");
    }

    /**
     * A model that was never trained; arguments as for {@link #read}.
     *
     * @param seed weights are a function of it
     * @param std standard deviation of the new weights
     */
    public static CausalModel random(
            ModelShape shape,
            long seed,
            double std,
            QuantConfig quantization,
            DType compute,
            boolean trainable,
            @Nullable PrincipalParts principals) {
        if (quantization.keepStored()) {
            throw KeptBlocks.nothing("a model that was never trained");
        }
        WeightSource source = new WeightSource.Random(seed, std, shape.architecture().normStart());
        return buildTold(
                shape,
                "drawing weights",
                new WeightLoader(source, quantization, compute, trainable, principals));
    }

    /** The error for all weights of a checkpoint in 4 bits that are to learn. */
    public static ConfigException inFourBits(String origin) {
        return ConfigException.of(
                "train.full_finetune is true, but %s holds its linear layers in 4 bits or 8, which cannot learn; name the"
                        + " checkpoint it was quantized from, or train an adapter",
                origin);
    }

    /**
     * A model of which only the sizes matter, for a computation {@linkplain
     * org.qlora4j.tensor.MetaDevice without memory}; arguments as for {@link #read}.
     */
    public static CausalModel ofSizes(
            ModelShape shape, QuantConfig quantization, DType compute, boolean trainable) {
        return ofSizes(Stage.whole(shape), quantization, compute, trainable);
    }

    /** As above, of one stage. */
    public static CausalModel ofSizes(
            Stage stage, QuantConfig quantization, DType compute, boolean trainable) {
        WeightSource source = new WeightSource.Sizes(quantization);
        WeightLoader loader = new WeightLoader(source, quantization, compute, trainable, null);
        loader.divide(stage);
        return build(stage.shape(), loader);
    }

    /** As {@link #build}, and tells how far it is. */
    private static LoadedModel buildTold(ModelShape shape, String work, WeightLoader loader) {
        long biases = shape.linears().stream().filter(ModelShape.LinearShape::bias).count();
        long all = shape.linears().size() + shape.others().size() - biases;
        try (Preparation stage = Preparation.begin(work, all, "tensors")) {
            loader.tell(stage);
            return build(shape, loader);
        }
    }

    /** Builds the model, which owns all that the loader makes; a failure frees it. */
    private static LoadedModel build(ModelShape shape, WeightLoader loader) {
        try {
            Decoder decoder = shape.architecture().build(new LoadedWeights("", loader));
            return new LoadedModel(shape, decoder, loader);
        } catch (RuntimeException | Error e) {
            loader.discard();
            throw e;
        }
    }

    private LoadedModel(ModelShape shape, Decoder decoder, WeightLoader loader) {
        this.shape = shape;
        this.decoder = decoder;
        this.loader = loader;
        this.vocabularySize = shape.vocabularySize();
    }

    @Override
    public ModelShape shape() {
        return shape;
    }

    @Override
    public Var hidden(Tape tape, Tensor ids, Context seen, boolean checkpoint) {
        return decoder.hidden(tape, ids, seen, checkpoint);
    }

    @Override
    public Stage stage() {
        Stage part = loader.part();
        return part == null ? Stage.whole(shape) : part;
    }

    @Override
    public Var hidden(
            Tape tape, Tensor ids, @Nullable Var before, Context seen, boolean checkpoint) {
        return decoder instanceof LayeredDecoder layered
                ? layered.hidden(tape, ids, before, stage(), seen, checkpoint)
                : CausalModel.super.hidden(tape, ids, before, seen, checkpoint);
    }

    @Override
    public Var encode(Tape tape, Tensor ids, Context seen, boolean checkpoint) {
        return decoder instanceof EncoderDecoder both
                ? both.encode(tape, ids, seen, checkpoint)
                : CausalModel.super.encode(tape, ids, seen, checkpoint);
    }

    @Override
    public Head head() {
        return decoder.head();
    }

    @Override
    public List<LinearLayer> linears() {
        return loader.linears();
    }

    @Override
    public List<Parameter> parameters() {
        return loader.parameters();
    }

    @Override
    public int vocabularySize() {
        return vocabularySize;
    }

    @Override
    public void resizeVocabulary(int rows) {
        if (rows < shape.vocabularySize()) {
            throw new IllegalArgumentException(
                    "%d rows are fewer than the checkpoint's %d"
                            .formatted(rows, shape.vocabularySize()));
        }
        if (rows == vocabularySize) {
            return;
        }
        decoder.tables().forEach(table -> resize(table, rows));
        vocabularySize = rows;
    }

    @Override
    public void relabel(Labels labels) {
        Task task = shape.architecture().task();
        if (!(task instanceof Task.Classify classify)) {
            return;
        }
        if (checkpointHead == null) {
            checkpointHead = ClassifierHead.of(decoder.head(), classify);
        }
        Labels own = checkpointHead.labels;
        Labels given = labels.count() == 0 ? own : labels;
        shape = given.of(shape);
        if (classify.classes() != given.count()) {
            checkpointHead.put(decoder.head(), given.count());
        }
    }

    /** A classifier's last layer as the checkpoint has it, and its classes. */
    private record ClassifierHead(Labels labels, Tensor weight, Tensor bias)
            implements AutoCloseable {
        static ClassifierHead of(Head head, Task.Classify classify) {
            try (TensorScope scope = TensorScope.open()) {
                return new ClassifierHead(
                        new Labels(classify.classes(), classify.names()),
                        TensorScope.release(weight(head).value().copy()),
                        TensorScope.release(bias(head).value().copy()));
            }
        }

        private static Parameter weight(Head head) {
            if (head.weight() instanceof Weight.Dense(Parameter weight)) {
                return weight;
            }
            throw new IllegalStateException("a classifier's head is never quantized");
        }

        private static Parameter bias(Head head) {
            return Objects.requireNonNull(head.bias(), "a classifier's head has a bias");
        }

        /** Zeros for another number of classes than the checkpoint's. */
        void put(Head head, int classes) {
            boolean own = classes == labels.count();
            try (TensorScope scope = TensorScope.open()) {
                DType dtype = weight.dtype();
                weight(head)
                        .replaceValue(
                                own
                                        ? weight.copy()
                                        : Tensors.zeros(dtype, classes, weight.size(1)));
                bias(head).replaceValue(own ? bias.copy() : Tensors.zeros(dtype, classes));
            }
        }

        @Override
        public void close() {
            weight.close();
            bias.close();
        }
    }

    private void resize(Parameter table, int rows) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor own = table.value().narrow(0, 0, shape.vocabularySize());
            Tensor grown = Tensors.empty(compute(), rows, own.size(1));
            grown.narrow(0, 0, own.size(0)).copyFrom(own);
            Tensor mean = own.to(compute().wide()).mean(0, true);
            grown.narrow(0, own.size(0), rows - own.size(0)).copyFrom(mean);
            table.replaceValue(grown);
        }
    }

    @Override
    public long byteSize() {
        long bytes = loader.streamedBytes();
        for (LinearLayer linear : linears()) {
            bytes += linear.weight() instanceof Weight.Dense ? 0 : linear.weight().byteSize();
        }
        for (Parameter p : parameters()) { // the dense weights of linears among them
            bytes += p.value().byteSize();
        }
        return bytes;
    }

    @Override
    public DType compute() {
        return loader.compute();
    }

    @Override
    public void close() {
        if (checkpointHead != null) {
            checkpointHead.close();
            checkpointHead = null;
        }
        loader.close();
        if (streamed != null) {
            streamed.close();
            streamed = null;
        }
    }
}
