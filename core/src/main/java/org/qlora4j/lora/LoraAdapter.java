package org.qlora4j.lora;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.qlora4j.autograd.LoraFactors;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Weight;
import org.qlora4j.error.ConfigException;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * The low-rank updates of one model: a pair of factors for each chosen layer (arXiv 2106.09685). It
 * owns the factors; a layer only points at them while the adapter is attached.
 */
public final class LoraAdapter implements AutoCloseable {
    /**
     * The first {@code .NAME.NUMBER.} of a module path holds the number of the block (PEFT's rule).
     */
    private static final Pattern BLOCK = Pattern.compile(".*?\\.[^.]*\\.(\\d+)\\.");

    private final LoraConfig config;
    private final Map<LoraLinear, LoraFactors> factors;

    LoraAdapter(LoraConfig config, Map<LoraLinear, LoraFactors> factors) {
        this.config = config;
        this.factors = factors;
    }

    /**
     * New trainable factors on the layers that the configuration chooses, attached to them: A
     * random, B zero, so that the model computes what it did before.
     *
     * @param linears the linear layers of the model but its head
     * @param compute dtype of the layers' inputs
     * @param seed start values are a function of it and of a layer's path
     * @throws ConfigException if no layer is chosen
     */
    public static LoraAdapter create(
            LoraConfig config, List<LoraLinear> linears, DType compute, long seed) {
        Map<LoraLinear, LoraFactors> factors = new LinkedHashMap<>();
        for (LoraLinear linear : linears) {
            if (chooses(config, linear.path())) {
                factors.put(linear, start(config, linear, compute, seed));
            }
        }
        if (factors.isEmpty()) {
            throw ConfigException.of(
                    "lora.target_modules %s chooses no layer; the model has %s",
                    config.targetModules().json(), names(linears));
        }
        LoraAdapter adapter = new LoraAdapter(config, factors);
        adapter.attach();
        return adapter;
    }

    /** Whether the configuration puts factors on the linear layer with this path. */
    public static boolean chooses(LoraConfig config, String path) {
        if (!config.targetModules().matches(path)
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

    private static LoraFactors start(
            LoraConfig config, LoraLinear linear, DType compute, long seed) {
        int rank = config.rankOf(linear.path());
        long in = linear.weight().in();
        Random random = new Random(seed * 0x9E3779B97F4A7C15L + linear.path().hashCode());
        float[] a = new float[Math.toIntExact(rank * in)];
        switch (config.initLoraWeights()) {
            case KAIMING_UNIFORM -> {
                float bound = (float) (1 / Math.sqrt(in)); // Kaiming uniform with a = sqrt(5)
                for (int i = 0; i < a.length; i++) {
                    a[i] = (2 * random.nextFloat() - 1) * bound;
                }
            }
            case GAUSSIAN -> {
                for (int i = 0; i < a.length; i++) {
                    a[i] = (float) (random.nextGaussian() / rank);
                }
            }
        }
        try (TensorScope scope = TensorScope.open()) {
            return factors(
                    config,
                    linear,
                    Tensors.of(a, rank, in),
                    Tensors.zeros(DType.F32, linear.weight().out(), rank),
                    compute,
                    true);
        }
    }

    /** Factors from f32 tensors A [rank, in] and B [out, rank], which they own from now on. */
    static LoraFactors factors(
            LoraConfig config,
            LoraLinear linear,
            Tensor a,
            Tensor b,
            DType compute,
            boolean trainable) {
        String path = linear.path();
        return new LoraFactors(
                parameter(path + ".lora_A.weight", a, compute, trainable),
                parameter(path + ".lora_B.weight", b, compute, trainable),
                config.scalingOf(path),
                config.loraDropout());
    }

    private static Parameter parameter(String name, Tensor f32, DType compute, boolean trainable) {
        return trainable
                ? Parameter.trainable(name, f32.to(compute.wide()), compute)
                : Parameter.frozen(name, f32.to(compute));
    }

    /** The last parts of the paths, each once, for messages. */
    private static String names(List<LoraLinear> linears) {
        TreeSet<String> names = new TreeSet<>();
        for (LoraLinear linear : linears) {
            names.add(linear.path().substring(linear.path().lastIndexOf('.') + 1));
        }
        return String.join(", ", names);
    }

    public LoraConfig config() {
        return config;
    }

    /** The layers that have factors, in the order of the model. */
    public Map<LoraLinear, LoraFactors> factors() {
        return java.util.Collections.unmodifiableMap(factors);
    }

    /** A and B of every layer, in the order of the model. */
    public List<Parameter> parameters() {
        List<Parameter> out = new ArrayList<>();
        for (LoraFactors f : factors.values()) {
            out.add(f.a());
            out.add(f.b());
        }
        return out;
    }

    /** Number of weights in all factors. */
    public long parameterCount() {
        return parameters().stream().mapToLong(p -> p.value().count()).sum();
    }

    /** Puts the factors on their layers. */
    public void attach() {
        factors.forEach(LoraLinear::setFactors);
    }

    /** Takes the factors off their layers, which then compute as the base model does. */
    public void detach() {
        factors.keySet().forEach(linear -> linear.setFactors(null));
    }

    /**
     * Adds {@code scale * B · A} to the weight of every layer, in f32, and takes the factors off. A
     * 4-bit weight becomes one in the compute dtype.
     *
     * @param compute dtype of the merged weights
     */
    public void mergeInto(DType compute) {
        factors.forEach((linear, f) -> {
            try (TensorScope scope = TensorScope.open()) {
                Tensor a = f.a().trainable() ? f.a().master() : f.a().value();
                Tensor b = f.b().trainable() ? f.b().master() : f.b().value();
                DType wide = compute.wide();
                Tensor merged = linear.weight().dense(wide).to(wide).copy();
                merged.addmmInPlace(b.to(wide), a.to(wide), 1, f.scale());
                String name = linear.path() + ".weight";
                linear.setFactors(null);
                linear.replaceWeight(new Weight.Dense(Parameter.frozen(name, merged.to(compute))));
            }
        });
    }

    /** Takes the factors off their layers and frees them. */
    @Override
    public void close() {
        detach();
        parameters().forEach(Parameter::close);
    }
}
