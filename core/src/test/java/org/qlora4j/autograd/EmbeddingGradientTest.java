package org.qlora4j.autograd;

import static org.qlora4j.autograd.OperationCase.shape;

import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;
import org.qlora4j.tensor.Raw;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

class EmbeddingGradientTest implements F64GradientSuite {
    static Stream<OperationCase> cases() {
        return Stream.of(
                lookup("a model's sizes", 3000, 576, 1, 257),
                lookup("ids that repeat", 3, 5, 2, 7),
                lookup("one id", 4, 1, 1, 1),
                scaled("rows times 4, ids that repeat", 3, 5, 2, 7));
    }

    private static OperationCase lookup(
            String name, int vocabulary, long hidden, int batch, int time) {
        long[] ids = new Random(31).longs((long) batch * time, 0, vocabulary).toArray();
        return new OperationCase(
                name,
                31,
                List.of(),
                List.of(shape(vocabulary, hidden)),
                run ->
                        Embedding.apply(
                                run.tape,
                                run.p(0),
                                run.own(TensorScope.release(Tensors.of(ids, batch, time)))),
                (x, p) -> torch.embedding(p[0], Raw.of(Tensors.of(ids, batch, time))));
    }

    private static OperationCase scaled(
            String name, int vocabulary, long hidden, int batch, int time) {
        long[] ids = new Random(32).longs((long) batch * time, 0, vocabulary).toArray();
        return new OperationCase(
                name,
                32,
                List.of(),
                List.of(shape(vocabulary, hidden)),
                run ->
                        Embedding.apply(
                                run.tape,
                                run.p(0),
                                run.own(TensorScope.release(Tensors.of(ids, batch, time))),
                                4),
                (x, p) ->
                        torch.embedding(p[0], Raw.of(Tensors.of(ids, batch, time)))
                                .mul(new Scalar(4.0)));
    }
}
