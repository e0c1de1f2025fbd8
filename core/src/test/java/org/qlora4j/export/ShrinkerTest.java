package org.qlora4j.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.Tape;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.StoredType;
import org.qlora4j.error.ConfigException;
import org.qlora4j.family.Families;
import org.qlora4j.family.FamilyGoldenTest;
import org.qlora4j.family.Models;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.ModelShape;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Golden;
import org.qlora4j.testing.TinyLlama;
import org.qlora4j.tokenize.TokenizerCut;

/** Smaller models out of the tiny one, checked on its tensors and on what they compute. */
class ShrinkerTest {
    private static final long[] IDS = {1, 20, 21, 22, 30, 7, 40, 2};

    @TempDir Path folder;

    @Test
    void nothingLeftOut_givesEqualLogits() {
        long memory = NativeMemory.liveBytes();
        Path out = folder.resolve("same");
        Shrinker.Result result =
                Shrinker.shrink(TinyLlama.folder(), new ShrinkConfig(null, null, null, null), out);
        assertThat(result.after()).isEqualTo(result.before());
        assertThat(logits(out, IDS)).isEqualTo(logits(TinyLlama.folder(), IDS));
        assertThat(out.resolve("tokenizer.json"))
                .hasSameBinaryContentAs(TinyLlama.folder().resolve("tokenizer.json"));
        assertThat(NativeMemory.liveBytes()).isEqualTo(memory);
    }

    @Test
    void fewerTokens_giveTheLogitsOfThoseThatStay() {
        Path out = folder.resolve("cut");
        Shrinker.shrink(TinyLlama.folder(), new ShrinkConfig(150, null, null, null), out);
        int[] kept = TokenizerCut.plan(TinyLlama.folder(), 150).keptIds();
        float[] whole = logits(TinyLlama.folder(), new long[] {kept[5], kept[30], kept[100]});
        float[] cut = logits(out, new long[] {5, 30, 100});
        for (int t = 0; t < 3; t++) {
            for (int i = 0; i < kept.length; i++) {
                assertThat(cut[t * 150 + i]).isEqualTo(whole[t * 160 + kept[i]]);
            }
        }
    }

    /** Channels that do nothing are the first to go, and nobody misses them. */
    @ParameterizedTest
    @ValueSource(strings = {"gate_proj", "up_proj", "down_proj"})
    void deadInnerChannels_goWithoutATrace(String where) throws Exception {
        Path dead = Files.createDirectory(folder.resolve("dead"));
        TinyLlama.copyTo(dead, "model.safetensors");
        rewrite(
                dead,
                (name, weight) -> {
                    if (name.contains(where)) {
                        int dim = where.equals("down_proj") ? 1 : 0;
                        for (int i = 0; i < 16; i++) { // 16 of 56
                            weight.narrow(dim, 3 * i + 1, 1).zero();
                        }
                    }
                });
        Path out = folder.resolve("out");
        Shrinker.shrink(dead, new ShrinkConfig(null, null, null, 40), out);
        assertThat(Families.shape(out).facts().intermediateSize()).isEqualTo(40);
        float[] expected = logits(dead, IDS);
        float[] actual = logits(out, IDS);
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[i]).isCloseTo(expected[i], within());
        }
    }

    @Test
    void chosenLayers_areNumberedAnew() {
        Path out = folder.resolve("one");
        Shrinker.shrink(TinyLlama.folder(), new ShrinkConfig(null, List.of(1), null, null), out);
        Golden before = Golden.open(TinyLlama.folder().resolve("model.safetensors"));
        Golden after = Golden.open(out.resolve("model.safetensors"));
        assertThat(after.names()).hasSize(9 + 3);
        for (String name : after.names()) {
            String old = name.replace("layers.0.", "layers.1.");
            assertThat(after.bytes(name).mismatch(before.bytes(old))).as(name).isEqualTo(-1);
        }
        assertThat(logits(out, IDS)).doesNotContain(Float.NaN);
    }

    @Test
    void narrowerResidual_keepsTheSameChannelsEverywhere() {
        Path out = folder.resolve("narrow");
        Shrinker.shrink(TinyLlama.folder(), new ShrinkConfig(150, List.of(0), 20, 30), out);
        ModelShape config = Families.shape(out);
        assertThat(config.hiddenSize()).isEqualTo(20);
        assertThat(config.facts().headDim()).isEqualTo(8);
        try (TensorScope scope = TensorScope.open()) {
            Golden before = Golden.open(TinyLlama.folder().resolve("model.safetensors"));
            Golden after = Golden.open(out.resolve("model.safetensors"));
            float[] norm = before.tensor("model.norm.weight").toFloats();
            float[] q = before.tensor("model.layers.0.self_attn.q_proj.weight").toFloats();
            List<Integer> kept =
                    columns(after.tensor("model.layers.0.self_attn.q_proj.weight"), q, 32);
            assertThat(kept).hasSize(20).isSorted();
            float[] norms = after.tensor("model.norm.weight").toFloats();
            Tensor o = after.tensor("model.layers.0.self_attn.o_proj.weight");
            float[] oBefore = before.tensor("model.layers.0.self_attn.o_proj.weight").toFloats();
            for (int i = 0; i < 20; i++) {
                assertThat(norms[i]).isEqualTo(norm[kept.get(i)]);
                assertThat(o.narrow(0, i, 1).contiguous().toFloats())
                        .containsExactly(
                                java.util.Arrays.copyOfRange(
                                        oBefore, kept.get(i) * 32, kept.get(i) * 32 + 32));
            }
        }
        assertThat(logits(out, new long[] {1, 2, 3})).hasSize(3 * 150).doesNotContain(Float.NaN);
    }

    @Test
    void whatTheModelDoesNotHave_isRefused() {
        assertRefused(new ShrinkConfig(null, List.of(0, 2), null, null), "layers must rise");
        assertRefused(new ShrinkConfig(null, List.of(1, 0), null, null), "layers must rise");
        assertRefused(new ShrinkConfig(null, null, 33, null), "hidden size must be from 1 to 32");
        assertRefused(new ShrinkConfig(null, null, null, 0), "intermediate size must be from 1");
        assertRefused(new ShrinkConfig(999, null, null, null), "cannot be cut");
    }

    private void assertRefused(ShrinkConfig config, String message) {
        Path out = folder.resolve("refused");
        assertThatThrownBy(() -> Shrinker.shrink(TinyLlama.folder(), config, out))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(message)
                .hasMessageNotContaining("\n");
        assertThat(out).doesNotExist();
    }

    private static org.assertj.core.data.Offset<Float> within() {
        return org.assertj.core.data.Offset.offset(1e-5f);
    }

    /** Places, in rows of a matrix of some width, of the columns that a narrower one has kept. */
    private static List<Integer> columns(Tensor narrow, float[] wide, int width) {
        List<Integer> out = new ArrayList<>();
        for (int i = 0; i < narrow.size(1); i++) {
            float[] column = narrow.narrow(1, i, 1).contiguous().toFloats();
            for (int j = 0; j < width; j++) {
                boolean same = true;
                for (int r = 0; r < column.length; r++) {
                    same &= wide[r * width + j] == column[r];
                }
                if (same) {
                    out.add(j);
                }
            }
        }
        return out;
    }

    private interface Change {
        void apply(String name, Tensor weight);
    }

    private static void rewrite(Path target, Change change) {
        Golden before = Golden.open(TinyLlama.folder().resolve("model.safetensors"));
        SafetensorsWriter writer = new SafetensorsWriter(Map.of("format", "pt"));
        try (TensorScope scope = TensorScope.open();
                java.lang.foreign.Arena arena = java.lang.foreign.Arena.ofConfined()) {
            for (String name : before.names()) {
                Tensor weight = before.tensor(name);
                change.apply(name, weight);
                writer.add(name, StoredType.F32, weight.shape(), Tensors.copyOf(weight, arena));
            }
            writer.write(target.resolve("model.safetensors"));
        }
    }

    private static float[] logits(Path model, long[] ids) {
        try (TensorScope scope = TensorScope.open();
                CausalModel loaded = Models.load(model, FamilyGoldenTest.NOT_QUANTIZED, DType.F32);
                Tape tape = Tape.inference();
                BatchContext seen = BatchContext.of(1, ids.length)) {
            Tensor input = Tensors.of(ids, 1, ids.length);
            return loaded.logits(loaded.hidden(tape, input, seen, false).value()).toFloats();
        }
    }

    /** Each layer keeps its type at its new number; norms of heads stay whole. */
    @Test
    void qwen3_shrinksToAModelOfItsFamily() {
        Path out = folder.resolve("qwen3");
        Path source = Golden.folder().resolve("families/qwen3");
        Shrinker.shrink(source, new ShrinkConfig(null, List.of(1), 24, 40), out);
        ModelShape shape = Families.shape(out);
        assertThat(shape.layers()).isEqualTo(1);
        assertThat(shape.hiddenSize()).isEqualTo(24);
        assertThat(shape.facts().headDim()).isEqualTo(16);
        for (float logit : logits(out, IDS)) {
            assertThat(logit).isFinite();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"gemma2", "phi3"})
    void otherFamilies_areRefusedInOneLine(String family) {
        Path source = Golden.folder().resolve("families").resolve(family);
        assertThatThrownBy(() ->
                        Shrinker.shrink(
                                source,
                                new ShrinkConfig(null, List.of(0), null, null),
                                folder.resolve("out")))
                .isInstanceOf(ConfigException.class)
                .hasMessage(
                        "models of type %s cannot be shrunk, whose channels are ranked otherwise;"
                                + " shrinkable are llama, mistral, qwen2, qwen3",
                        family);
    }
}
