package org.qlora4j.tensor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;

/**
 * How much of this process lies in physical memory, Java heap and libtorch's tensors alike, from
 * {@code /proc/self/status}. Empty where there is no such file: the JDK's own beans know the
 * virtual size only, which for a program that maps its weights says nothing.
 */
public final class ResidentMemory {
    private static final Path STATUS = Path.of("/proc/self/status");

    private ResidentMemory() {}

    /** Bytes resident now. */
    public static OptionalLong current() {
        return parse(status(), "VmRSS");
    }

    /** Most bytes that were resident at once since the process began. */
    public static OptionalLong peak() {
        return parse(status(), "VmHWM");
    }

    /** Bytes of a line such as {@code VmRSS: 1644 kB}; empty if there is none. */
    static OptionalLong parse(String status, String key) {
        return status.lines()
                .filter(line -> line.startsWith(key + ":") && line.endsWith(" kB"))
                .mapToLong(line ->
                        Long.parseLong(line.substring(key.length() + 1, line.length() - 3).strip())
                                << 10)
                .findFirst();
    }

    private static String status() {
        try {
            return Files.readString(STATUS);
        } catch (IOException notLinux) {
            return "";
        }
    }
}
