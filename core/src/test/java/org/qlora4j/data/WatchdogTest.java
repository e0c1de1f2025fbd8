package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.qlora4j.error.FormatException;

/** What a {@link Watchdog} makes of a reader that ends otherwise than with a row. */
class WatchdogTest {
    @Test
    void memoryThatEnds_isOneLineOfTheUsersKind() {
        Watchdog rows =
                new Watchdog(OutOfMemory::new, 0, why -> new FormatException("a.parquet: " + why));
        assertThatThrownBy(rows::next)
                .isInstanceOf(FormatException.class)
                .hasMessage("a.parquet: java.lang.OutOfMemoryError: Java heap space");
    }

    private record OutOfMemory() implements Source.Rows {
        @Override
        public @Nullable Row next() {
            throw new OutOfMemoryError("Java heap space");
        }

        @Override
        public void close() {}
    }
}
