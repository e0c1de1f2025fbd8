package org.qlora4j.lora;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.DoraFactors;
import org.qlora4j.autograd.LinearUpdate;
import org.qlora4j.autograd.LoraFactors;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Weight;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.Nearest;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Low-rank updates of one model (arXiv 2106.09685), one for each chosen layer. Beside them stand
 * the weights that learn whole. It owns all of them; the model only points at them while the
 * adapter is attached.
 */
public final class LoraAdapter implements AutoCloseable {
    /**
     * The first {@code .NAME.NUMBER.} of a module path holds the number of the block (PEFT's rule).
     */
    private static final Pattern BLOCK = Pattern.compile(".*?\\.[^.]*\\.(\\d+)\\.");

    /** Name of DoRA's magnitudes behind a layer's path, as in PEFT's files. */
    static final String MAGNITUDE = ".lora_magnitude_vector";

    private final LoraConfig config;
    private final Map<LinearLayer, LinearUpdate> updates;
    private final List<SavedModule> modules;
    private final boolean hasSharedTable;

    LoraAdapter(
            LoraConfig config,
            Map<LinearLayer, LinearUpdate> updates,
            List<SavedModule> modules,
            boolean hasSharedTable) {
        this.config = config;
        this.updates = updates;
        this.modules = List.copyOf(modules);
        this.hasSharedTable = hasSharedTable;
    }

    /**
     * New trainable updates on the layers that the configuration chooses, attached to them: A
     * random and B zero, or both the principal part of the weight, so that the model computes what
     * it did before.
     *
     * @param linears the linear layers of the model but its head
     * @param parameters its weights that are not in 4 bits
     * @param compute dtype of the layers' inputs
     * @param seed start values are a function of it and of a layer's path
     * @throws ConfigException if no layer is chosen, or a module is named that is not there
     */
    public static LoraAdapter create(
            LoraConfig config,
            List<LinearLayer> linears,
            List<Parameter> parameters,
            DType compute,
            long seed) {
        return create(
                config,
                linears,
                parameters,
                compute,
                linear -> start(config, linear, compute, seed));
    }

    /**
     * Trainable updates whose values do not matter, as {@link #create} chooses and attaches them.
     */
    public static LoraAdapter ofSizes(
            LoraConfig config,
            List<LinearLayer> linears,
            List<Parameter> parameters,
            DType compute) {
        return create(
                config, linears, parameters, compute, linear -> zeros(config, linear, compute));
    }

    private static LoraAdapter create(
            LoraConfig config,
            List<LinearLayer> linears,
            List<Parameter> parameters,
            DType compute,
            Function<LinearLayer, LinearUpdate> first) {
        List<Parameter> whole = SavedModule.chosen(config, linears, parameters);
        Map<LinearLayer, LinearUpdate> updates = new LinkedHashMap<>();
        for (LinearLayer linear : linears) {
            if (chooses(config, linear.path())) {
                updates.put(linear, first.apply(linear));
            }
        }
        if (updates.isEmpty()) {
            throw ConfigException.of(
                    "lora.target_modules %s chooses no layer; the model has %s",
                    config.targetModules().json(), names(linears));
        }
        requireEachNamed(config, linears.stream().map(LinearLayer::path).toList());
        List<SavedModule> modules = new ArrayList<>();
        for (Parameter base : whole) {
            try (TensorScope scope = TensorScope.open()) {
                Tensor start = base.value().copy();
                modules.add(new SavedModule(base, parameter(base.name(), start, compute, true)));
            }
        }
        LoraAdapter adapter =
                new LoraAdapter(
                        config,
                        updates,
                        modules,
                        SavedModule.bringsSharedTable(modules, parameters));
        adapter.attach();
        return adapter;
    }

    /**
     * Refuses a name of {@code lora.target_modules} that no layer has: what it misspells would be
     * left as it is, and nothing would say so.
     *
     * @param paths of the linear layers of the model but its head
     * @throws ConfigException with the nearest name that there is
     */
    public static void requireEachNamed(LoraConfig config, List<String> paths) {
        if (!(config.targetModules() instanceof TargetModules.Named named)) {
            return;
        }
        TreeSet<String> known = new TreeSet<>();
        paths.forEach(path -> known.add(path.substring(path.lastIndexOf('.') + 1)));
        for (String name : named.names()) {
            if (paths.stream().noneMatch(new TargetModules.Named(List.of(name))::matches)) {
                String nearest = Nearest.of(name, known);
                throw ConfigException.of(
                        "lora.target_modules names %s, which the model does not have; it has %s%s",
                        name,
                        String.join(", ", known),
                        nearest == null ? "" : "; did you mean " + nearest + "?");
            }
        }
    }

    /** Whether the configuration puts an update on the linear layer with this path. */
    public static boolean chooses(LoraConfig config, String path) {
        if (!config.targetModules().matches(path)
                || SavedModule.chooses(config, path)
                || (config.excludeModules() != null && config.excludeModules().matches(path))) {
            return false;
        }
        if (config.layersToTransform() == null) {
            return true;
        }
        Matcher block = BLOCK.matcher(path);
        return block.lookingAt()
                && config.layersToTransform().contains(Integer.valueOf(block.group(1)));
    }

    /**
     * Whether the configuration has a whole module learn besides.
     *
     * @param path e.g. {@code model.embed_tokens}
     * @param ownHead whether the head is another table than the embeddings
     */
    public static boolean bringsWhole(LoraConfig config, String path, boolean ownHead) {
        return SavedModule.chooses(config, path, ownHead);
    }

    private static LinearUpdate zeros(LoraConfig config, LinearLayer linear, DType compute) {
        try (TensorScope scope = TensorScope.open()) {
            int rank = config.rankOf(linear.path());
            long out = linear.weight().out();
            Tensor a = Tensors.zeros(DType.F32, rank, linear.weight().in());
            Tensor m = config.useDora() ? Tensors.zeros(DType.F32, out) : null;
            return update(config, linear, a, Tensors.zeros(DType.F32, out, rank), m, compute, true);
        }
    }

    private static LinearUpdate start(
            LoraConfig config, LinearLayer linear, DType compute, long seed) {
        LoraFactors principal = linear.principal();
        if (principal != null) { // PiSSA
            try (TensorScope scope = TensorScope.open()) {
                Tensor a = principal.a().value().to(DType.F32).copy();
                Tensor b = principal.b().value().to(DType.F32).copy();
                return update(config, linear, a, b, null, compute, true);
            }
        }
        int rank = config.rankOf(linear.path());
        long in = linear.weight().in();
        Random random = new Random(seed * 0x9E3779B97F4A7C15L + linear.path().hashCode());
        float[] a = new float[Math.toIntExact(rank * in)];
        switch (config.initLoraWeights()) {
            case LoraInit.KaimingUniform uniform -> {
                float bound = (float) (1 / Math.sqrt(in)); // Kaiming uniform with a = sqrt(5)
                for (int i = 0; i < a.length; i++) {
                    a[i] = (2 * random.nextFloat() - 1) * bound;
                }
            }
            case LoraInit.Gaussian gaussian -> {
                for (int i = 0; i < a.length; i++) {
                    a[i] = (float) (random.nextGaussian() / rank);
                }
            }
            case LoraInit.Pissa pissa ->
                    throw new IllegalStateException(
                            linear.path() + " was loaded whole; PiSSA needs it in two parts");
        }
        try (TensorScope scope = TensorScope.open()) {
            // B is 0, so that the rows of the sum are as long as those of the weight
            Tensor m =
                    config.useDora()
                            ? DoraFactors.rowNorms(linear.weight().dense(compute)).to(DType.F32)
                            : null;
            Tensor b = Tensors.zeros(DType.F32, linear.weight().out(), rank);
            return update(config, linear, Tensors.of(a, rank, in), b, m, compute, true);
        }
    }

    /**
     * An update from f32 tensors, which it owns from now on.
     *
     * @param a [rank, in]
     * @param b [out, rank]
     * @param m DoRA's magnitudes [out], or null
     */
    static LinearUpdate update(
            LoraConfig config,
            LinearLayer linear,
            Tensor a,
            Tensor b,
            @Nullable Tensor m,
            DType compute,
            boolean trainable) {
        String path = linear.path();
        LoraFactors lora =
                new LoraFactors(
                        parameter(path + ".lora_A.weight", a, compute, trainable),
                        parameter(path + ".lora_B.weight", b, compute, trainable),
                        config.scalingOf(path),
                        config.loraDropout());
        if (m == null) {
            return lora;
        }
        // magnitudes are divided by f32 norms: nothing is gained by a copy in 16 bits
        return new DoraFactors(lora, parameter(path + MAGNITUDE, m, compute.wide(), trainable));
    }

    static Parameter parameter(String name, Tensor value, DType compute, boolean trainable) {
        return trainable
                ? Parameter.trainable(name, value.to(compute.wide()), compute)
                : Parameter.frozen(name, value.to(compute));
    }

    /** The last parts of the paths, each once, for messages. */
    private static String names(List<LinearLayer> linears) {
        TreeSet<String> names = new TreeSet<>();
        for (LinearLayer linear : linears) {
            names.add(linear.path().substring(linear.path().lastIndexOf('.') + 1));
        }
        return String.join(", ", names);
    }

    public LoraConfig config() {
        return config;
    }

    /** The layers that have an update, in the order of the model. */
    public Map<LinearLayer, LinearUpdate> updates() {
        return Collections.unmodifiableMap(updates);
    }

    /** The table that serves the model as embedding and as head, if the adapter brings it. */
    @Nullable Parameter sharedTable() {
        for (SavedModule module : modules) {
            if (hasSharedTable && module.isTable()) {
                return module.copy();
            }
        }
        return null;
    }

    /** All its weights: those of the updates in the order of the model, then the whole ones. */
    public List<Parameter> parameters() {
        List<Parameter> out = new ArrayList<>();
        updates.values().forEach(update -> out.addAll(update.parameters()));
        out.addAll(wholeParameters());
        return out;
    }

    /** Weights that stand in the place of the model's own. */
    List<Parameter> wholeParameters() {
        return modules.stream().map(SavedModule::copy).toList();
    }

    /** Number of its weights. */
    public long parameterCount() {
        return parameters().stream().mapToLong(p -> p.value().count()).sum();
    }

    /** Puts the updates on their layers, and its weights in the place of the model's. */
    public void attach() {
        updates.forEach(LinearLayer::setUpdate);
        modules.forEach(module -> module.base().standIn(module.copy()));
    }

    /** Whether it brings weights that stand in the place of the model's own. */
    boolean bringsModules() {
        return !modules.isEmpty();
    }

    /** Takes all that is its own off the model. */
    public void detach() {
        updates.forEach((linear, update) -> {
            if (linear.update() == update) {
                linear.setUpdate(null);
            }
        });
        modules.forEach(module -> module.base().endStandIn(module.copy()));
    }

    /**
     * Works the updates into the weights of their layers, in f32. Copies its other weights into the
     * model's, then takes everything off. A 4-bit weight becomes one in the compute dtype.
     *
     * @param compute dtype of the merged weights
     */
    public void mergeInto(DType compute) {
        detach();
        updates.forEach((linear, update) -> {
            try (TensorScope scope = TensorScope.open()) {
                DType wide = compute.wide();
                Tensor merged = linear.weight().dense(wide).to(wide).copy();
                update.mergeInto(merged);
                String name = linear.path() + ".weight";
                linear.replaceWeight(new Weight.Dense(Parameter.frozen(name, merged.to(compute))));
            }
        });
        modules.forEach(module -> module.base().value().copyFrom(module.copy().finest()));
    }

    /** Takes everything off the model and frees it. */
    @Override
    public void close() {
        detach();
        parameters().forEach(Parameter::close);
        updates.values().forEach(LinearUpdate::close);
    }
}
