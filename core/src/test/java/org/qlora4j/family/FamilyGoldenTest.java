package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.autograd.CrossEntropy;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.autograd.Weight;
import org.qlora4j.error.FormatException;
import org.qlora4j.generate.BeamConfig;
import org.qlora4j.generate.BeamGenerator;
import org.qlora4j.generate.Generation;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.Generator;
import org.qlora4j.generate.InferenceHead;
import org.qlora4j.generate.KeyValueCache;
import org.qlora4j.kernel.FourBitLoss;
import org.qlora4j.lora.LinearLayer;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Context;
import org.qlora4j.model.ModelShape;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;

/** Every family against transformers, in f32. A family joins by a line in {@link #families}. */
public class FamilyGoldenTest {
    public static final QuantConfig NOT_QUANTIZED =
            new QuantConfig(
                    false, QuantConfig.DEFAULT.type(), false, QuantConfig.DEFAULT.blockSize());

    static List<String> families() {
        return List.of(
                "gemma",
                "gemma2",
                "gemma3",
                "llama",
                "llama-tied-mha",
                "llama3-rope",
                "llama-linear-rope",
                "mistral-sliding",
                "phi3",
                "qwen2",
                "qwen3",
                "gpt-neox",
                "gpt2",
                "opt");
    }

    @BeforeAll
    static void goldenFiles() {
        Golden.folder();
    }

    private static Path folder(String family) {
        return Golden.folder().resolve("families").resolve(family);
    }

    private static Golden golden(String family) {
        return Golden.open(folder(family).resolve("expected.safetensors"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("families")
    void family_givesLogitsLossAndGradients(String family) {
        assertLogitsLossAndGradients(family, false);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("families")
    void family_givesTheSameWithCheckpointing(String family) {
        assertLogitsLossAndGradients(family, true);
    }

    private static void assertLogitsLossAndGradients(String family, boolean checkpointing) {
        Golden golden = golden(family);
        long before = NativeMemory.liveBytes();
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(folder(family), NOT_QUANTIZED, DType.F32, true)) {
            Tensor ids = golden.tensor("input_ids");
            int batch = (int) ids.size(0);
            int time = (int) ids.size(1);
            long[] attention = golden.tensor("attention_mask").toLongs();
            int[] labels = shifted(golden.tensor("labels").toLongs(), batch, time);
            long netBefore = NativeMemory.freedBySafetyNet();
            try (TensorScope step = TensorScope.openSafetyNet();
                    BatchContext seen = BatchContext.padded(batch, time, bytes(attention));
                    Tape tape = Tape.recording(1)) {
                Var hidden = model.hidden(tape, ids, seen, checkpointing);
                try (TensorScope compare = TensorScope.open()) {
                    Tensor logits =
                            model.logits(hidden.value()).view(batch, time, model.vocabularySize());
                    // padding that sees no key means nothing: libraries fill it differently
                    Tensor real = golden.tensor("attention_mask").view(batch, time, 1);
                    Close.assertClose(
                            "logits",
                            logits.times(real.to(DType.F32)),
                            golden.tensor("logits").times(real.to(DType.F32)),
                            0,
                            1e-4);
                }
                Var loss = CrossEntropy.sum(tape, hidden, model.head(), labels);
                long count = Arrays.stream(labels).filter(l -> l != CrossEntropy.IGNORE).count();
                float expected;
                try (TensorScope compare = TensorScope.open()) {
                    expected = golden.tensor("loss").toFloats()[0];
                }
                assertThat(loss.value().item() / count).isCloseTo(expected, Offset.offset(1e-5));
                tape.backward(loss);
                for (Parameter p : model.parameters()) {
                    try (TensorScope compare = TensorScope.open()) {
                        Close.assertClose(
                                p.name(),
                                p.grad().times(1.0 / count),
                                gradient(golden, p.name(), p.isStoredTransposed()),
                                1e-4,
                                1e-6);
                    }
                }
            }
            assertThat(NativeMemory.freedBySafetyNet()).isEqualTo(netBefore);
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }

    /**
     * transformers' gradient of a weight.
     *
     * @param transposed whether it has the weight as [in, out]
     */
    private static Tensor gradient(Golden golden, String name, boolean transposed) {
        // the name in memory, not that in the file
        String inMemory = name.replace("embed_out.", "lm_head.");
        Tensor gradient = golden.tensor("grad." + inMemory);
        return transposed ? gradient.t().contiguous() : gradient;
    }

    /** Names, shapes and count of what a family lists are those of what it loads. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("families")
    void shape_listsWhatIsLoaded(String family) {
        try (CausalModel model = Models.load(folder(family), NOT_QUANTIZED, DType.F32)) {
            ModelShape shape = Families.shape(folder(family));
            List<String> loaded = new ArrayList<>();
            long count = 0;
            for (Parameter p : model.parameters()) {
                loaded.add(p.name() + Arrays.toString(p.shape()));
                count += p.value().count();
            }
            List<String> listed = new ArrayList<>();
            shape.others().forEach(w -> listed.add(w.name() + w.sizes()));
            shape.linears()
                    .forEach(l -> listed.add(l.path() + ".weight" + List.of(l.out(), l.in())));
            assertThat(listed).containsExactlyInAnyOrderElementsOf(loaded);
            assertThat(shape.parameterCount()).isEqualTo(count).isEqualTo(model.parameterCount());
            assertThat(shape.linears().stream().map(ModelShape.LinearShape::path))
                    .isEqualTo(model.linears().stream().map(LinearLayer::path).toList());
        }
    }

    /** The first six tokens of row 0, and twelve behind them. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("families")
    void greedy_givesTokensOfTransformers(String family) {
        Golden golden = golden(family);
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(folder(family), NOT_QUANTIZED, DType.F32)) {
            long[] expected = golden.tensor("generate.greedy").toLongs();
            int[] prompt = Arrays.stream(expected).limit(6).mapToInt(Math::toIntExact).toArray();
            GenerationConfig config =
                    GenerationConfig.DEFAULT.withMaxNewTokens(12).withMinNewTokens(12);
            Generation text = new Generator(model).generate(prompt, config, token -> true);
            assertThat(text.tokens().stream().mapToLong(Integer::longValue))
                    .containsExactly(Arrays.stream(expected).skip(6).boxed().toArray(Long[]::new));
        }
    }

    /** The same prompt by three beams. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("families")
    void beams_giveTokensOfTransformers(String family) {
        Golden golden = golden(family);
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(folder(family), NOT_QUANTIZED, DType.F32)) {
            long[] expected = golden.tensor("generate.beam3").toLongs();
            int[] prompt = Arrays.stream(expected).limit(6).mapToInt(Math::toIntExact).toArray();
            GenerationConfig config =
                    GenerationConfig.DEFAULT.withMaxNewTokens(12).withMinNewTokens(12);
            List<Integer> best =
                    new BeamGenerator(model, InferenceHead.exact(model))
                            .generate(prompt, config, BeamConfig.of(3))
                            .getFirst()
                            .tokens();
            assertThat(best.stream().mapToLong(Integer::longValue))
                    .containsExactly(Arrays.stream(expected).skip(6).boxed().toArray(Long[]::new));
        }
    }

    /** In 4 bits it computes what the same weights, decoded, do in f32. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("families")
    void in4Bits_isTheModelOfTheDecodedWeights(String family) {
        Golden golden = golden(family);
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(folder(family), QuantConfig.DEFAULT, DType.F32)) {
            Tensor ids = golden.tensor("input_ids");
            Tensor quantized = logits(model, ids);
            for (LinearLayer linear : model.linears()) {
                assertThat(linear.weight()).isInstanceOf(Weight.Quantized.class);
                Tensor decoded = linear.weight().dense(DType.F32).copy();
                linear.replaceWeight(
                        new Weight.Dense(Parameter.frozen(linear.path() + ".weight", decoded)));
            }
            Close.assertClose(
                    "logits", quantized, logits(model, ids), FourBitLoss.ofModel(0), 1e-5);
        }
    }

    /** With B = 0 the gradient of B is {@code scale * dW · Aᵀ}, and dW is transformers'. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("families")
    void loraOnAllLinears_hasTheGradientsThatFollow(String family) {
        Golden golden = golden(family);
        LoraConfig lora = LoraConfig.DEFAULT.withRank(4, 8);
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(folder(family), NOT_QUANTIZED, DType.F32);
                LoraAdapter adapter =
                        LoraAdapter.create(
                                lora, model.linears(), model.parameters(), DType.F32, 1)) {
            assertThat(adapter.updates().keySet()).containsExactlyElementsOf(model.linears());
            Tensor ids = golden.tensor("input_ids");
            int batch = (int) ids.size(0);
            int time = (int) ids.size(1);
            int[] labels = shifted(golden.tensor("labels").toLongs(), batch, time);
            long count = Arrays.stream(labels).filter(l -> l != CrossEntropy.IGNORE).count();
            byte[] visible = bytes(golden.tensor("attention_mask").toLongs());
            try (BatchContext seen = BatchContext.padded(batch, time, visible);
                    Tape tape = Tape.recording(1)) {
                Var hidden = model.hidden(tape, ids, seen, true);
                tape.backward(CrossEntropy.sum(tape, hidden, model.head(), labels));
            }
            adapter.updates()
                    .forEach((linear, update) -> {
                        String name = linear.path() + ".weight";
                        Tensor dW = gradient(golden, name, linear.isStoredTransposed());
                        Tensor expected =
                                dW.mm(update.lora().a().value().t()).times(update.lora().scale());
                        Tensor actual = update.lora().b().grad().times(1.0 / count);
                        Close.assertClose(linear.path(), actual, expected, 1e-4, 1e-6);
                    });
        }
    }

    /** Rows behind each other in one row, and padding on either side, change no text's logits. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("families")
    void packedAndPadded_eachTextHasItsOwnLogits(String family) {
        Golden golden = golden(family);
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(folder(family), NOT_QUANTIZED, DType.F32)) {
            long[] row = golden.tensor("input_ids").select(0, 0).toLongs();
            Tensor expected = golden.tensor("logits").select(0, 0);
            int n = 24;
            int pad = 5;
            for (int lead : new int[] {0, 11, pad}) { // padding right, another text, padding left
                int time = lead + n + (lead == 0 ? pad : 0);
                long[] ids = new long[time];
                int[] starts = new int[time];
                boolean[] real = new boolean[time];
                for (int i = 0; i < time; i++) {
                    boolean own = i >= lead && i < lead + n;
                    ids[i] = own ? row[i - lead] : row[(7 * i + 3) % n];
                    real[i] = own || lead == 11;
                    starts[i] = own || i >= lead ? lead : 0;
                }
                try (BatchContext seen = BatchContext.ofSamples(1, time, starts, real);
                        Tape tape = Tape.inference()) {
                    Tensor input = Tensors.of(ids, 1, time);
                    Tensor hidden = model.hidden(tape, input, seen, false).value();
                    Tensor logits = model.logits(hidden.narrow(1, lead, n));
                    Close.assertClose("behind " + lead, logits, expected, 0, 1e-4);
                }
            }
        }
    }

    /** From a cache: in pieces of several sizes, then one by one. */
    @ParameterizedTest(name = "{0}, first {1}")
    @MethodSource("familiesAndPieces")
    void fromACache_givesLogitsOfTheWholeRow(String family, String pieces) {
        Golden golden = golden(family);
        int[] sizes = Arrays.stream(pieces.split(" ", -1)).mapToInt(Integer::parseInt).toArray();
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(folder(family), NOT_QUANTIZED, DType.F32);
                KeyValueCache cache = new KeyValueCache(model, 1)) {
            Tensor ids = golden.tensor("input_ids").narrow(0, 0, 1);
            Tensor expected = golden.tensor("logits").select(0, 0);
            int at = 0;
            for (int size : sizes) {
                try (KeyValueCache.Piece piece = cache.fill(0, size)) {
                    assertPiece(model, ids.narrow(1, at, size), piece, expected, at);
                }
                at += size;
            }
            for (; at < 24; at++) {
                cache.reserve(at + 1);
                assertPiece(model, ids.narrow(1, at, 1), cache, expected, at);
            }
        }
    }

    static List<Arguments> familiesAndPieces() {
        List<Arguments> out = new ArrayList<>();
        for (String family : families()) {
            for (String pieces : List.of("1", "5 9", "17 7")) {
                out.add(Arguments.of(family, pieces));
            }
        }
        return out;
    }

    private static void assertPiece(
            CausalModel model, Tensor ids, Context seen, Tensor expected, int at) {
        try (Tape tape = Tape.inference()) {
            Var hidden = model.hidden(tape, ids, seen, false);
            Tensor own = expected.narrow(0, at, ids.size(1));
            Close.assertClose("logits from " + at, model.logits(hidden.value()), own, 0, 1e-4);
        }
    }

    static Tensor logits(CausalModel model, Tensor ids) {
        try (TensorScope scope = TensorScope.open();
                BatchContext seen = BatchContext.of((int) ids.size(0), (int) ids.size(1));
                Tape tape = Tape.inference()) {
            Tensor hidden = model.hidden(tape, ids, seen, false).value();
            return scope.promote(model.logits(hidden));
        }
    }

    @Test
    void unknownFamily_isRefusedWithTheKnownOnes(@TempDir Path folder) throws Exception {
        Path file = folder.resolve("config.json");
        Files.writeString(file, "{\"model_type\": \"mamba\"}");
        assertThatThrownBy(() -> Families.shape(folder))
                .isInstanceOf(FormatException.class)
                .hasMessage(
                        "%s: model_type \"mamba\" is not supported; supported: %s",
                        file, String.join(", ", Families.types()));
    }

    static byte[] bytes(long[] values) {
        byte[] out = new byte[values.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = (byte) values[i];
        }
        return out;
    }

    /** What each position predicts: the label of the next one. */
    static int[] shifted(long[] labels, int batch, int time) {
        int[] out = new int[labels.length];
        for (int b = 0; b < batch; b++) {
            for (int t = 0; t < time; t++) {
                out[b * time + t] =
                        t + 1 < time ? (int) labels[b * time + t + 1] : CrossEntropy.IGNORE;
            }
        }
        return out;
    }
}
