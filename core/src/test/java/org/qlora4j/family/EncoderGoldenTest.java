package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.CrossEntropy;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.autograd.Weight;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.BeamConfig;
import org.qlora4j.generate.BeamGenerator;
import org.qlora4j.generate.BeamSearch;
import org.qlora4j.generate.CacheSize;
import org.qlora4j.generate.Decoding;
import org.qlora4j.generate.Generation;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.Generator;
import org.qlora4j.generate.InferenceHead;
import org.qlora4j.generate.KeyValueCache;
import org.qlora4j.generate.MeanHidden;
import org.qlora4j.generate.Text;
import org.qlora4j.grammar.JsonGrammar;
import org.qlora4j.grammar.TokenVocabulary;
import org.qlora4j.lora.LinearLayer;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.CrossContext;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;
import tools.jackson.databind.json.JsonMapper;

/** Families with an encoder against transformers, in f32: RoBERTa's classifier, T5 and Flan-T5. */
class EncoderGoldenTest {
    private static final int START = 0; // T5's decoder_start_token_id

    private static Path folder(String family) {
        return Golden.folder().resolve("families").resolve(family);
    }

    private static Golden golden(String family) {
        return Golden.open(folder(family).resolve("expected.safetensors"));
    }

    private static CausalModel load(String family, QuantConfig quantization, boolean trainable) {
        return Models.load(folder(family), quantization, DType.F32, trainable);
    }

    /** A forward pass over a golden batch; closed after the backward pass. */
    private static final class Pass implements AutoCloseable {
        final Tape tape;
        final Var hidden;
        final int[] labels;
        private final List<AutoCloseable> contexts = new ArrayList<>();

        Pass(String family, CausalModel model, Tape tape, boolean checkpointing) {
            Golden golden = golden(family);
            this.tape = tape;
            Tensor ids = golden.tensor("input_ids");
            int batch = (int) ids.size(0);
            byte[] visible = FamilyGoldenTest.bytes(golden.tensor("attention_mask").toLongs());
            long[] told = golden.tensor("labels").toLongs();
            labels = Arrays.stream(told).mapToInt(Math::toIntExact).toArray();
            BatchContext source = own(BatchContext.whole(batch, (int) ids.size(1), visible));
            if (family.startsWith("roberta")) {
                hidden = model.hidden(tape, ids, source, checkpointing);
                return;
            }
            int time = told.length / batch;
            long[] before = new long[told.length];
            for (int i = 0; i < told.length; i++) {
                before[i] = i % time == 0 ? START : Math.max(0, told[i - 1]);
            }
            Var read = model.encode(tape, ids, source, checkpointing);
            BatchContext target = own(BatchContext.of(batch, time));
            CrossContext seen = own(new CrossContext(target, read, visible));
            hidden =
                    model.hidden(
                            tape, tape.keep(Tensors.of(before, batch, time)), seen, checkpointing);
        }

        private <T extends AutoCloseable> T own(T context) {
            contexts.add(context);
            return context;
        }

        long count() {
            return Arrays.stream(labels).filter(l -> l != CrossEntropy.IGNORE).count();
        }

        @Override
        public void close() throws Exception {
            for (AutoCloseable context : contexts) {
                context.close();
            }
        }
    }

    @ParameterizedTest(name = "{0}, checkpointing {1}")
    @CsvSource({
        "roberta-classifier, false",
        "roberta-classifier, true",
        "t5, false",
        "t5, true",
        "flan-t5, false",
        "flan-t5, true"
    })
    void family_givesLogitsLossAndGradients(String family, boolean checkpointing) throws Exception {
        Golden golden = golden(family);
        long before = NativeMemory.liveBytes();
        try (TensorScope scope = TensorScope.open();
                CausalModel model = load(family, FamilyGoldenTest.NOT_QUANTIZED, true)) {
            long netBefore = NativeMemory.freedBySafetyNet();
            try (TensorScope step = TensorScope.openSafetyNet()) {
                Tape tape = Tape.recording(1);
                try (Pass pass = new Pass(family, model, tape, checkpointing);
                        tape) {
                    try (TensorScope compare = TensorScope.open()) {
                        Tensor expected = golden.tensor("logits");
                        Tensor logits = model.logits(pass.hidden.value()).view(expected.shape());
                        Close.assertClose("logits", logits, expected, 0, 1e-4);
                    }
                    Var loss = CrossEntropy.sum(tape, pass.hidden, model.head(), pass.labels);
                    try (TensorScope compare = TensorScope.open()) {
                        float expected = golden.tensor("loss").toFloats()[0];
                        assertThat(loss.value().item() / pass.count())
                                .isCloseTo(expected, Offset.offset(1e-5));
                    }
                    tape.backward(loss);
                    for (Parameter p : model.parameters()) {
                        try (TensorScope compare = TensorScope.open()) {
                            Close.assertClose(
                                    p.name(),
                                    p.grad().times(1.0 / pass.count()),
                                    golden.tensor("grad." + p.name()),
                                    1e-4,
                                    1e-6);
                        }
                    }
                }
            }
            assertThat(NativeMemory.freedBySafetyNet() - netBefore).isLessThanOrEqualTo(4);
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }

    @ParameterizedTest
    @ValueSource(strings = {"roberta-classifier", "t5", "flan-t5"})
    void in4Bits_isTheModelOfTheDecodedWeights(String family) throws Exception {
        try (TensorScope scope = TensorScope.open();
                CausalModel model = load(family, QuantConfig.DEFAULT, false)) {
            Tensor quantized = logits(family, model);
            for (LinearLayer linear : model.linears()) {
                boolean kept = linear.path().endsWith(".wo"); // as transformers does
                assertThat(linear.weight() instanceof Weight.Quantized).isEqualTo(!kept);
                Tensor decoded = linear.weight().dense(DType.F32).copy();
                linear.replaceWeight(
                        new Weight.Dense(Parameter.frozen(linear.path() + ".weight", decoded)));
            }
            Close.assertClose("logits", quantized, logits(family, model), 0, 1e-5);
        }
    }

    private static Tensor logits(String family, CausalModel model) throws Exception {
        try (Tape tape = Tape.inference();
                Pass pass = new Pass(family, model, tape, false)) {
            return model.logits(pass.hidden.value()).copy();
        }
    }

    /** With B = 0 the gradient of B is {@code scale * dW · Aᵀ}, and dW is transformers'. */
    @ParameterizedTest
    @ValueSource(strings = {"roberta-classifier", "t5", "flan-t5"})
    void loraOnAllLinears_hasTheGradientsThatFollow(String family) throws Exception {
        Golden golden = golden(family);
        LoraConfig lora = LoraConfig.DEFAULT.withRank(4, 8);
        try (TensorScope scope = TensorScope.open();
                CausalModel model = load(family, FamilyGoldenTest.NOT_QUANTIZED, false);
                LoraAdapter adapter =
                        LoraAdapter.create(
                                lora, model.linears(), model.parameters(), DType.F32, 1)) {
            long count;
            Tape tape = Tape.recording(1);
            try (Pass pass = new Pass(family, model, tape, true);
                    tape) {
                tape.backward(CrossEntropy.sum(tape, pass.hidden, model.head(), pass.labels));
                count = pass.count();
            }
            adapter.updates()
                    .forEach((linear, update) -> {
                        Tensor dW = golden.tensor("grad." + linear.path() + ".weight");
                        Tensor expected =
                                dW.mm(update.lora().a().value().t()).times(update.lora().scale());
                        Tensor actual = update.lora().b().grad().times(1.0 / count);
                        Close.assertClose(linear.path(), actual, expected, 1e-4, 1e-6);
                    });
        }
    }

    /** Twelve tokens behind the start, none of them the end. */
    @ParameterizedTest
    @ValueSource(strings = {"t5", "flan-t5"})
    void answers_areThoseOfTransformers(String family) {
        Golden golden = golden(family);
        GenerationConfig twelve =
                GenerationConfig.builder().maxNewTokens(12).minNewTokens(12).build();
        try (TensorScope scope = TensorScope.open();
                CausalModel model = load(family, FamilyGoldenTest.NOT_QUANTIZED, false)) {
            int[] source =
                    Arrays.stream(golden.tensor("input_ids").toLongs())
                            .limit(24)
                            .mapToInt(Math::toIntExact)
                            .toArray();
            List<Integer> expectedGreedy = expected(golden, "generate.greedy");
            List<Integer> expectedBeam = expected(golden, "generate.beam3");
            long before = NativeMemory.liveBytes();
            Generation greedy = new Generator(model).generate(source, twelve, token -> true);
            assertThat(greedy.tokens()).isEqualTo(expectedGreedy);
            assertThat(greedy.promptTokens()).isEqualTo(24);
            BeamSearch.Finished best =
                    new BeamGenerator(model, InferenceHead.exact(model))
                            .generate(source, twelve, BeamConfig.of(3))
                            .getFirst();
            assertThat(best.tokens()).isEqualTo(expectedBeam);
            assertThat(bounded(model, source, twelve)).containsOnly(expectedGreedy);
            assertThat(NativeMemory.liveBytes()).isEqualTo(before);
        }
    }

    /** Four texts where keys, values and read sources of hardly two have room. */
    private static List<List<Integer>> bounded(
            CausalModel model, int[] source, GenerationConfig config) {
        CacheSize size = CacheSize.of(model);
        long bound = 2 * 25 * size.source() + 40 * size.position() + 16 * size.moving();
        List<Text> texts = new ArrayList<>();
        try (Decoding decoding =
                new Decoding(
                        model, InferenceHead.exact(model), Decoding.Manner.shared(4, 64, bound))) {
            while (texts.size() < 4 || !decoding.isIdle()) {
                while (texts.size() < 4 && decoding.hasRoom()) {
                    texts.add(
                            decoding.begin(new Decoding.Request(source, config, null, t -> null)));
                }
                decoding.step();
                assertThat(decoding.cacheBytes()).isBetween(0L, bound);
                assertThat(decoding.size() - decoding.waiting()).isLessThanOrEqualTo(2);
            }
        }
        return texts.stream().map(text -> text.generation().tokens()).toList();
    }

    private static List<Integer> expected(Golden golden, String name) {
        return Arrays.stream(golden.tensor(name).toLongs())
                .skip(1)
                .mapToObj(Math::toIntExact)
                .toList();
    }

    /** The grammar knows the digit 7 alone, in a vocabulary where only its token is that. */
    @Test
    void answerOfAForm_keepsItBehindASourceToo() {
        byte[][] vocabulary = new byte[160][];
        Arrays.fill(vocabulary, new byte[] {'x'});
        vocabulary[70] = new byte[] {'7'};
        JsonGrammar seven = JsonGrammar.of(JsonMapper.shared().readTree("{\"const\": 7}"));
        List<Integer> tokens = new ArrayList<>();
        try (CausalModel model = load("t5", FamilyGoldenTest.NOT_QUANTIZED, false);
                Decoding decoding =
                        new Decoding(
                                model, InferenceHead.exact(model), Decoding.Manner.shared(1, 8))) {
            decoding.begin(
                    new Decoding.Request(
                            new int[] {5, 6, 7},
                            GenerationConfig.DEFAULT,
                            null,
                            new TokenVocabulary(vocabulary).mask(seven),
                            token -> {
                                tokens.add(token.id());
                                return null;
                            }));
            while (!decoding.isIdle()) {
                decoding.step();
            }
        }
        assertThat(tokens.getFirst()).isEqualTo(70);
    }

    @Test
    void statesOfATextAlone_areRefusedWhereASourceIsAnswered() {
        try (CausalModel model = load("t5", FamilyGoldenTest.NOT_QUANTIZED, false)) {
            assertThatThrownBy(() -> new MeanHidden(model, new int[] {5, 6}, null))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageStartingWith("models of type t5 answer a source");
        }
    }

    @Test
    void classifier_writesNoTexts() {
        try (CausalModel model =
                load("roberta-classifier", FamilyGoldenTest.NOT_QUANTIZED, false)) {
            assertThatThrownBy(() -> new KeyValueCache(model, 1))
                    .isInstanceOf(ConfigException.class)
                    .hasMessage("models of type roberta classify texts and write none");
        }
    }
}
