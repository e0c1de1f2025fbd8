package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class WorkersTest {
    @ParameterizedTest(name = "{0} threads")
    @ValueSource(ints = {1, 2, 3})
    void everyTask_runsOnce(int threads) {
        Workers workers = new Workers(threads);
        assertThat(workers.threads()).isEqualTo(threads);
        for (int count : new int[] {0, 1, 2, 3, 1000}) {
            AtomicIntegerArray runs = new AtomicIntegerArray(count);
            workers.run(count, runs::incrementAndGet);
            for (int i = 0; i < count; i++) {
                assertThat(runs.get(i)).isEqualTo(1);
            }
        }
    }

    /** Also what the tasks wrote must be seen by the caller, without volatile. */
    @ParameterizedTest(name = "{0} threads")
    @ValueSource(ints = {2, 3})
    void tenThousandSmallJobs_eachSeeTheirOwnTasks(int threads) {
        Workers workers = new Workers(threads);
        int[] written = new int[5];
        for (int job = 1; job <= 10_000; job++) {
            int number = job;
            workers.run(5, i -> written[i] = number);
            assertThat(written).containsOnly(job);
        }
    }

    @Test
    void sleepingHelpers_wakeForTheNextJob() throws InterruptedException {
        Workers workers = new Workers(3);
        AtomicInteger done = new AtomicInteger();
        for (int job = 0; job < 20; job++) {
            Thread.sleep(3); // longer than they spin
            workers.run(7, i -> done.incrementAndGet());
        }
        assertThat(done.get()).isEqualTo(140);
    }

    @ParameterizedTest(name = "{0} threads")
    @ValueSource(ints = {1, 2, 3})
    void exceptionInATask_reachesTheCallerAndSparesThePool(int threads) {
        Workers workers = new Workers(threads);
        for (int at = 0; at < 4; at++) {
            int failing = at;
            assertThatThrownBy(() ->
                            workers.run(
                                    4,
                                    i -> {
                                        if (i == failing) {
                                            throw new ArithmeticException("task " + i);
                                        }
                                    }))
                    .isInstanceOf(ArithmeticException.class)
                    .hasMessage("task " + at);
        }
        assertThatThrownBy(() ->
                        workers.run(
                                4,
                                i -> {
                                    throw new StackOverflowError();
                                }))
                .isInstanceOf(StackOverflowError.class);
        AtomicInteger done = new AtomicInteger();
        workers.run(9, i -> done.incrementAndGet());
        assertThat(done.get()).isEqualTo(9);
    }

    @Test
    void interruptedCaller_finishesItsJobAndStaysInterrupted() {
        Workers workers = new Workers(2);
        AtomicInteger done = new AtomicInteger();
        Thread.currentThread().interrupt();
        workers.run(50, i -> done.incrementAndGet());
        assertThat(Thread.interrupted()).isTrue();
        assertThat(done.get()).isEqualTo(50);
    }

    @Test
    void severalCallers_takeTurns() throws InterruptedException {
        Workers workers = new Workers(2);
        AtomicInteger done = new AtomicInteger();
        Thread[] callers = new Thread[4];
        for (int c = 0; c < callers.length; c++) {
            callers[c] =
                    new Thread(() -> {
                        for (int job = 0; job < 200; job++) {
                            workers.run(5, i -> done.incrementAndGet());
                        }
                    });
            callers[c].start();
        }
        for (Thread caller : callers) {
            caller.join();
        }
        assertThat(done.get()).isEqualTo(4 * 200 * 5);
    }
}
