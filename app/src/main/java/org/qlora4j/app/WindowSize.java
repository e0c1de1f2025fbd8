package org.qlora4j.app;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Locale;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * Asks the system how wide the terminal at stdout is now: {@code ioctl(1, TIOCGWINSZ)} of Linux and
 * macOS. A shell sets {@code COLUMNS} once; a window changes.
 */
final class WindowSize {
    private static final int STDOUT = 1;
    private static final long TIOCGWINSZ =
            System.getProperty("os.name", "").toLowerCase(Locale.ROOT).contains("mac")
                    ? 0x40087468L
                    : 0x5413L;
    private static final int BYTES = 8; // four shorts: rows, columns, and both in pixels
    private static final @Nullable MethodHandle IOCTL = find();

    private WindowSize() {}

    /** The columns; empty where the system does not say, or stdout is no terminal. */
    static OptionalInt columns() {
        MethodHandle ioctl = IOCTL;
        if (ioctl == null) {
            return OptionalInt.empty();
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment size = arena.allocate(BYTES, Short.BYTES);
            int failed = (int) ioctl.invokeExact(STDOUT, TIOCGWINSZ, size);
            int columns = Short.toUnsignedInt(size.get(ValueLayout.JAVA_SHORT, Short.BYTES));
            return failed != 0 || columns == 0 ? OptionalInt.empty() : OptionalInt.of(columns);
        } catch (Throwable e) { // what invokeExact declares; the C function throws nothing
            return OptionalInt.empty();
        }
    }

    private static @Nullable MethodHandle find() {
        if (System.getProperty("os.name", "").startsWith("Windows")) {
            return null;
        }
        Linker linker = Linker.nativeLinker();
        return linker.defaultLookup()
                .find("ioctl")
                .map(address ->
                        linker.downcallHandle(
                                address,
                                FunctionDescriptor.of(
                                        ValueLayout.JAVA_INT,
                                        ValueLayout.JAVA_INT,
                                        ValueLayout.JAVA_LONG,
                                        ValueLayout.ADDRESS),
                                Linker.Option.firstVariadicArg(2)))
                .orElse(null);
    }
}
