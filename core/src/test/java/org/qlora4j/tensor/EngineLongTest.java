package org.qlora4j.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Long work lets others in where it says so, but no other long work. */
class EngineLongTest {
    @Test
    void longWork_letsShortWorkInAndNoOtherLongWork() throws Exception {
        List<String> order = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch queued = new CountDownLatch(1);
        Thread first =
                new Thread(() ->
                        Engine.callLong(() -> {
                            try (TensorScope scope = TensorScope.open()) {
                                begun.countDown();
                                queued.await(60, TimeUnit.SECONDS);
                                Engine.letOthersIn();
                                order.add("first");
                                assertThat(TensorScope.current()).isSameAs(scope);
                                return "";
                            }
                        }));
        first.start();
        assertThat(begun.await(60, TimeUnit.SECONDS)).isTrue();
        Thread second =
                new Thread(() ->
                        Engine.callLong(() -> {
                            order.add("second");
                            return "";
                        }));
        second.start();
        while (second.getState() != Thread.State.WAITING) { // until it is queued
            Thread.onSpinWait();
        }
        Future<String> between =
                Engine.submit(() -> {
                    order.add("between");
                    try (TensorScope scope = TensorScope.open()) {
                        return "of its own";
                    }
                });
        queued.countDown();
        assertThat(between.get(60, TimeUnit.SECONDS)).isEqualTo("of its own");
        first.join(60_000);
        second.join(60_000);
        assertThat(order).containsExactly("between", "first", "second");
    }
}
