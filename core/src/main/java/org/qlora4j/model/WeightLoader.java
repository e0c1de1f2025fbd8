package org.qlora4j.model;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.DequantizationBuffer;
import org.qlora4j.autograd.LoraFactors;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Weight;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Preparation;
import org.qlora4j.lora.LinearLayer;
import org.qlora4j.lora.PrincipalParts;
import org.qlora4j.quant.BlockMatrix;
import org.qlora4j.quant.FrozenMatrix;
import org.qlora4j.quant.Int8Matrix;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/**
 * Takes the weights of a source one by one into the form in which a model holds them: linears in
 * few bits, everything else in the compute dtype. At any moment there is the model so far and one
 * tensor.
 */
final class WeightLoader {
    private final List<AutoCloseable> made = new ArrayList<>();
    private final List<Asked> asked = new ArrayList<>();
    private final WeightSource source;
    private final QuantConfig quantization;
    private final DType compute;
    private final boolean trainable;
    private final @Nullable PrincipalParts principals;
    private final DequantizationBuffer buffer = new DequantizationBuffer();
    private @Nullable Preparation stage;
    private @Nullable LayerStream stream;
    private @Nullable Stage part;

    /** What a family asked for: one of the two. */
    private record Asked(@Nullable LinearLayer linear, @Nullable Parameter parameter) {}

    /**
     * @param trainable whether the weights learn; they must then not be quantized
     * @param principals what takes weights of linears apart; null to leave them whole
     */
    WeightLoader(
            WeightSource source,
            QuantConfig quantization,
            DType compute,
            boolean trainable,
            @Nullable PrincipalParts principals) {
        this.source = source;
        this.quantization = quantization;
        this.compute = compute;
        this.trainable = trainable;
        this.principals = principals;
        if (trainable && quantization.quantizes()) {
            throw new IllegalArgumentException("weights in few bits cannot learn");
        }
    }

    /** Tells from now on how many of the weights are loaded. */
    void tell(Preparation told) {
        stage = told;
    }

    /** Leaves the weights of layers in the checkpoint from now on; closes the stream at the end. */
    void stream(LayerStream layers) {
        stream = keep(layers);
    }

    /** Takes from now on only the weights of one stage; others are listed. */
    void divide(Stage own) {
        part = own;
    }

    /** The stage whose weights are taken; null for all. */
    @Nullable Stage part() {
        return part;
    }

    private boolean isElsewhere(String name) {
        return part != null && !part.holds(name);
    }

    private Parameter listed(String name, long... shape) {
        source.skip(name);
        return Parameter.listed(name, shape);
    }

    private void add(Asked one) {
        asked.add(one);
        if (stage != null) {
            stage.at(asked.size());
        }
    }

    DType compute() {
        return compute;
    }

    /** The linear layers made so far, in the order of asking. */
    List<LinearLayer> linears() {
        List<LinearLayer> out = new ArrayList<>();
        for (Asked each : asked) {
            if (each.linear != null) {
                out.add(each.linear);
            }
        }
        return out;
    }

    /** The weights that are not in 4 bits now, those of linears among them. */
    List<Parameter> parameters() {
        List<Parameter> out = new ArrayList<>();
        for (Asked each : asked) {
            if (each.parameter != null) {
                out.add(each.parameter);
            }
            if (each.linear != null) {
                if (each.linear.weight() instanceof Weight.Dense(Parameter p)) {
                    out.add(p);
                }
                if (each.linear.bias() != null) {
                    out.add(each.linear.bias());
                }
            }
        }
        out.removeIf(Parameter::isListed); // of another stage
        return out;
    }

    /** Bytes that streamed layers take at most. */
    long streamedBytes() {
        return stream == null ? 0 : stream.heldBytes();
    }

    boolean has(String name) {
        return source.has(name);
    }

    /** A weight that is never quantized. */
    Parameter parameter(String name, long... shape) {
        Parameter made = isElsewhere(name) ? listed(name, shape) : plain(name, shape);
        add(new Asked(null, made));
        return made;
    }

    private Parameter plain(String name, long... shape) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor value = source.readFinite(name, held(), shape);
            if (value == null) {
                throw notFinite(name);
            }
            return parameter(name, value);
        }
    }

    private Parameter parameter(String name, Tensor value) {
        Tensor own = value.to(held());
        return keep(
                trainable ? Parameter.trainable(name, own, compute) : Parameter.frozen(name, own));
    }

    /** Type in which weights that are not in few bits are held. */
    private DType held() {
        return trainable ? compute.wide() : compute;
    }

    /**
     * A linear layer: its weight {@code path.weight} [out, in], taken apart and in 4 bits if so
     * configured, and perhaps {@code path.bias}.
     *
     * @param transposed whether the source has the weight as [in, out], unless it is in 4 bits
     *     there
     */
    LinearLayer linear(String path, int out, int in, boolean bias, boolean transposed) {
        String name = path + ".weight";
        if (isElsewhere(name)) {
            return linearElsewhere(path, out, in, bias, transposed);
        }
        Weight weight;
        LoraFactors principal = null;
        PrincipalParts parts = principals != null && principals.chooses(path) ? principals : null;
        if (parts == null) {
            weight = weight(name, out, in, transposed);
        } else {
            if (source.isQuantized(name)) {
                throw ConfigException.of(
                        "lora.init_lora_weights is %s, but %s holds %s in few bits already; name the checkpoint it was"
                                + " quantized from",
                        parts.config().initLoraWeights().json(), source.origin(), name);
            }
            try (TensorScope scope = TensorScope.open()) {
                Tensor whole = read(name, out, in, transposed);
                if (!whole.allFinite()) {
                    throw notFinite(name);
                }
                principal = keep(parts.take(path, whole));
                Tensor residual = PrincipalParts.residual(whole, principal);
                weight =
                        quantizes()
                                ? quantized(residual)
                                : new Weight.Dense(parameter(name, residual));
            }
        }
        LinearLayer linear =
                new LinearLayer(path, weight, principal, bias ? plain(path + ".bias", out) : null);
        add(new Asked(linear, null));
        return transposed ? linear.storedTransposed() : linear;
    }

    private LinearLayer linearElsewhere(
            String path, int out, int in, boolean bias, boolean transposed) {
        Weight weight = new Weight.Dense(listed(path + ".weight", out, in));
        LinearLayer linear =
                new LinearLayer(path, weight, null, bias ? listed(path + ".bias", out) : null);
        add(new Asked(linear, null));
        return transposed ? linear.storedTransposed() : linear;
    }

    /** A linear layer whose weight is held in the compute dtype, whatever the settings say. */
    LinearLayer unquantized(String path, int out, int in) {
        Parameter weight = plain(path + ".weight", out, in);
        LinearLayer linear = new LinearLayer(path, new Weight.Dense(weight), null);
        add(new Asked(linear, null));
        return linear;
    }

    private Weight weight(String name, long out, long in, boolean transposed) {
        if (trainable && source.isQuantized(name)) {
            throw LoadedModel.inFourBits(source.origin());
        }
        FrozenMatrix stored = source.readQuantized(name, out, in);
        if (stored != null) {
            return stream != null && LayerStream.takes(name, stored)
                    ? stream.add(name, stored, buffer)
                    : keep(weight(stored));
        }
        try (TensorScope scope = TensorScope.open()) {
            Tensor read = read(name, out, in, transposed);
            if (quantizes()) {
                return quantized(read);
            }
            if (!read.allFinite()) {
                throw notFinite(name);
            }
            return new Weight.Dense(parameter(name, read));
        } catch (ArithmeticException e) { // the quantizer sees each value anyway
            throw notFinite(name);
        }
    }

    /** Whether linears are put into few bits; what a checkpoint in few bits left plain stays so. */
    private boolean quantizes() {
        return quantization.quantizes() && !source.anyQuantized();
    }

    /** A weight as [out, in]. */
    private Tensor read(String name, long out, long in, boolean transposed) {
        return transposed
                ? source.read(name, in, out).t().contiguous()
                : source.read(name, out, in);
    }

    private Weight quantized(Tensor weight) {
        return keep(
                weight(
                        quantization.load8bit()
                                ? Int8Matrix.quantize(weight, quantization.int8Threshold())
                                : QuantizedMatrix.quantize(weight, quantization)));
    }

    private Weight weight(FrozenMatrix matrix) {
        return switch (matrix) {
            case QuantizedMatrix in4bits -> new Weight.Quantized(in4bits, buffer);
            case Int8Matrix in8bits -> new Weight.Int8(in8bits, buffer);
            case BlockMatrix blocks -> new Weight.Blocks(blocks, buffer);
        };
    }

    private FormatException notFinite(String name) {
        return FormatException.of(
                "%s: tensor %s holds a value that is NaN or infinite; fetch the checkpoint again",
                source.origin(), name);
    }

    /** Closes a part with the model. */
    <T extends AutoCloseable> T keep(T weight) {
        made.add(weight);
        return weight;
    }

    /** Frees the weights as they are now: an adapter may have been merged into them. */
    void close() {
        linears().forEach(LinearLayer::close);
        parameters().forEach(Parameter::close);
        discard();
    }

    /** Frees all weights made so far, for a model that could not be completed. */
    void discard() {
        for (AutoCloseable weight : made) { // closing twice does nothing
            try {
                weight.close();
            } catch (Exception e) {
                throw new IllegalStateException("closing a weight throws nothing", e);
            }
        }
        buffer.close();
    }
}
