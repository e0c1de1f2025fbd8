package org.qlora4j.family;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.StoredType;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.CrossContext;
import org.qlora4j.model.Task;
import org.qlora4j.run.AdapterFolder;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Golden;

/**
 * The logits of a model of any family on one text, as make_family_adapters.py asks for them. {@code
 * check_family_adapters.py} runs it as a program.
 */
final class AdapterLogits {
    private AdapterLogits() {}

    /**
     * Logits F32 [1, positions, vocabulary] in the innermost scope, of a classifier [1, 1,
     * classes].
     *
     * @param ids [1, positions]; T5 reads them, and writes the same behind its start
     */
    static Tensor of(CausalModel model, Tensor ids) {
        int time = (int) ids.size(1);
        byte[] visible = new byte[time];
        Arrays.fill(visible, (byte) 1);
        boolean writes = model.shape().architecture().task() instanceof Task.NextToken;
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.inference();
                BatchContext whole = BatchContext.whole(1, time, visible);
                BatchContext before = BatchContext.of(1, time)) {
            if (!(model.shape().architecture().task() instanceof Task.SequenceToSequence pairs)) {
                BatchContext seen = writes ? before : whole;
                Tensor hidden = model.hidden(tape, ids, seen, false).value();
                return scope.promote(model.logits(hidden));
            }
            long[] target = new long[time];
            target[0] = pairs.startId();
            System.arraycopy(ids.toLongs(), 0, target, 1, time - 1);
            Var states = model.encode(tape, ids, whole, false);
            try (CrossContext seen = new CrossContext(before, states, visible)) {
                Tensor input = Tensors.of(target, 1, time);
                Tensor hidden = model.hidden(tape, input, seen, false).value();
                return scope.promote(model.logits(hidden));
            }
        }
    }

    /**
     * Writes logits in f32 for each case.
     *
     * @param words of each case a safetensors file with the ids, the base, the adapter or run
     *     folder, and the file to write
     */
    public static void main(String[] words) {
        for (int i = 0; i < words.length; i += 4) {
            Golden golden = Golden.open(Path.of(words[i]));
            Path base = Path.of(words[i + 1]);
            AdapterFolder files = AdapterFolder.of(Path.of(words[i + 2]));
            Path out = Path.of(words[i + 3]);
            Engine.run(() -> write(base, files, golden, out));
        }
    }

    private static void write(Path base, AdapterFolder files, Golden golden, Path out) {
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(base, FamilyGoldenTest.NOT_QUANTIZED, DType.F32)) {
            model.relabel(files.labels());
            try (LoraAdapter adapter =
                    PeftAdapter.load(
                            files.files(), model.linears(), model.parameters(), DType.F32)) {
                Tensor logits = of(model, golden.tensor("ids"));
                try (Arena arena = Arena.ofConfined()) {
                    MemorySegment bytes = Tensors.copyOf(logits.contiguous(), arena);
                    new SafetensorsWriter(Map.of())
                            .add("logits", StoredType.F32, logits.shape(), bytes)
                            .write(out);
                }
            }
        }
    }
}
