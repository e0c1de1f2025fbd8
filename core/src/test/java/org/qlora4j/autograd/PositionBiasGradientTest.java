package org.qlora4j.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.qlora4j.autograd.OperationCase.shape;

import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.tensor.Raw;
import org.qlora4j.tensor.Tensors;

/** Attention whose scores have a bias by distance, and attention to all of another sequence. */
class PositionBiasGradientTest implements F64GradientSuite {
    static Stream<OperationCase> cases() {
        return Stream.of(
                biased("both ways, one position", 1, 1, 1, 2, true),
                biased("both ways", 2, 9, 3, 6, true),
                biased("both ways, across the block and the last bucket", 1, 260, 2, 6, true),
                biased("before the query", 2, 9, 3, 6, false),
                biased("before the query, across the block", 1, 260, 2, 6, false),
                cross("a source longer than the text", 2, 3, 7),
                cross("a source shorter than the text", 2, 9, 2));
    }

    private static OperationCase biased(
            String name, int batch, int time, int heads, int headDim, boolean bothWays) {
        long[] size = {batch, time, heads, headDim};
        return new OperationCase(
                name,
                71,
                List.of(shape(size), shape(size), shape(size)),
                List.of(shape(32, heads)),
                run -> {
                    AttentionMask mask =
                            run.own(
                                    bothWays
                                            ? AttentionMask.whole(batch, time, time, null)
                                            : new AttentionMask(batch, time, time, null));
                    var bias = new PositionBias(run.p(0), bothWays, 128);
                    return Attention.apply(
                            run.tape,
                            run.x(0),
                            run.x(1),
                            run.x(2),
                            mask,
                            AttentionShape.biased(bias));
                },
                (x, p) -> {
                    var bias =
                            p[0].index_select(0, Raw.of(buckets(time, bothWays)))
                                    .view(time, time, heads)
                                    .permute(2, 0, 1);
                    var scores = heads(x[0]).matmul(heads(x[1]).transpose(2, 3)).add(bias);
                    if (!bothWays) {
                        var hidden =
                                torch.ones(time, time)
                                        .triu(1)
                                        .to(torch.ScalarType.Double)
                                        .mul(new Scalar(-1e30));
                        scores = scores.add(hidden);
                    }
                    return torch.softmax(scores, 3)
                            .matmul(heads(x[2]))
                            .transpose(1, 2)
                            .reshape(batch, time, (long) heads * headDim);
                });
    }

    private static OperationCase cross(String name, int batch, int time, int source) {
        return new OperationCase(
                name,
                72,
                List.of(
                        shape(batch, time, 2, 4),
                        shape(batch, source, 2, 4),
                        shape(batch, source, 2, 4)),
                List.of(),
                run ->
                        Attention.apply(
                                run.tape,
                                run.x(0),
                                run.x(1),
                                run.x(2),
                                run.own(AttentionMask.whole(batch, time, source, null)),
                                new AttentionShape(1, 0, 0)),
                (x, p) ->
                        torch.softmax(heads(x[0]).matmul(heads(x[1]).transpose(2, 3)), 3)
                                .matmul(heads(x[2]))
                                .transpose(1, 2)
                                .reshape(batch, time, 8));
    }

    /** [batch, heads, time, headDim] of [batch, time, heads, headDim]. */
    private static org.bytedeco.pytorch.Tensor heads(org.bytedeco.pytorch.Tensor x) {
        return x.transpose(1, 2);
    }

    private static org.qlora4j.tensor.Tensor buckets(int time, boolean bothWays) {
        try (Parameter table = Parameter.listed("table", 32, 1)) {
            long[] of = new PositionBias(table, bothWays, 128).buckets(0, time, 0, time);
            return Tensors.of(of, of.length);
        }
    }

    /** Buckets of transformers 5.23's {@code _relative_position_bucket}, 32 up to distance 128. */
    @ParameterizedTest
    @CsvSource({
        "true, 0, 0", "true, -7, 7", "true, -8, 8", "true, -20, 10", "true, -64, 14",
        "true, -128, 15", "true, -5000, 15", "true, 1, 17", "true, 8, 24", "true, 20, 26",
        "true, 127, 31", "false, 5, 0", "false, -15, 15", "false, -20, 17", "false, -32, 21",
        "false, -64, 26", "false, -127, 31"
    })
    void distance_hasTheBucketOfTransformers(boolean bothWays, int distance, int bucket) {
        try (Parameter table = Parameter.listed("table", 32, 1)) {
            assertThat(new PositionBias(table, bothWays, 128).bucket(distance)).isEqualTo(bucket);
        }
    }
}
