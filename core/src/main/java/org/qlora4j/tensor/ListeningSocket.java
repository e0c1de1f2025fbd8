package org.qlora4j.tensor;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Locale;
import org.qlora4j.error.ConfigException;

/**
 * A socket that listens on one address. libtorch's own would listen on all of the machine, and Java
 * does not hand out the number of its sockets; so C's functions make it.
 */
final class ListeningSocket {
    private static final int IPV4 = 2;
    private static final int IPV6_ON_LINUX = 10;
    private static final int IPV6_ON_MACOS = 30;
    private static final int STREAM = 1;
    private static final int WAITING = 1024;
    private static final int IPV4_BYTES = 16;
    private static final int IPV6_BYTES = 28;

    private ListeningSocket() {}

    /**
     * Opens it.
     *
     * @return its number in this process, to be closed by whoever takes it over
     * @throws ConfigException if the address is not of this machine, or taken
     */
    static int open(String host, int port) {
        InetAddress address;
        try {
            address = InetAddress.getByName(host);
        } catch (UnknownHostException e) {
            throw new ConfigException(
                    "MASTER_ADDR %s has no address; name the machine of process 0".formatted(host),
                    e);
        }
        boolean mac = System.getProperty("os.name").toLowerCase(Locale.ROOT).contains("mac");
        boolean four = address instanceof Inet4Address;
        int family = four ? IPV4 : mac ? IPV6_ON_MACOS : IPV6_ON_LINUX;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment errno = arena.allocate(Posix.ERRNO);
            MemorySegment where = arena.allocate(four ? IPV4_BYTES : IPV6_BYTES, 8);
            if (mac) { // a byte of length, a byte of family
                where.set(ValueLayout.JAVA_BYTE, 0, (byte) where.byteSize());
                where.set(ValueLayout.JAVA_BYTE, 1, (byte) family);
            } else {
                where.set(JAVA_SHORT, 0, (short) family);
            }
            where.set(ValueLayout.JAVA_BYTE, 2, (byte) (port >>> 8));
            where.set(ValueLayout.JAVA_BYTE, 3, (byte) port);
            byte[] bytes = address.getAddress();
            MemorySegment.copy(bytes, 0, where, ValueLayout.JAVA_BYTE, four ? 4 : 8, bytes.length);
            int socket =
                    check(
                            (int)
                                    Posix.function("socket", JAVA_INT, JAVA_INT, JAVA_INT)
                                            .invokeExact(errno, family, STREAM, 0),
                            errno,
                            host,
                            port);
            reuse(socket, mac, arena, errno);
            int bound =
                    (int)
                            Posix.function("bind", JAVA_INT, ADDRESS, JAVA_INT)
                                    .invokeExact(errno, socket, where, (int) where.byteSize());
            if (bound == 0) {
                bound =
                        (int)
                                Posix.function("listen", JAVA_INT, JAVA_INT)
                                        .invokeExact(errno, socket, WAITING);
            }
            if (bound != 0) {
                MemorySegment reason = errno.asSlice(0);
                int ignored =
                        (int)
                                Posix.function("close", JAVA_INT)
                                        .invokeExact(arena.allocate(Posix.ERRNO), socket);
                check(bound, reason, host, port);
            }
            return socket;
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) { // C throws nothing
            throw new IllegalStateException(e);
        }
    }

    /** Takes the port even while connections of a run that has ended are still remembered. */
    private static void reuse(int socket, boolean mac, Arena arena, MemorySegment errno)
            throws Throwable {
        MemorySegment yes = arena.allocateFrom(JAVA_INT, 1);
        int ignored =
                (int)
                        Posix.function(
                                        "setsockopt",
                                        JAVA_INT,
                                        JAVA_INT,
                                        JAVA_INT,
                                        ADDRESS,
                                        JAVA_INT)
                                .invokeExact(
                                        errno,
                                        socket,
                                        mac ? 0xffff : 1,
                                        mac ? 4 : 2,
                                        yes,
                                        (int) yes.byteSize());
    }

    private static int check(int result, MemorySegment errno, String host, int port) {
        if (result >= 0) {
            return result;
        }
        throw ConfigException.of(
                "process 0 cannot listen on %s, port %d: %s; set MASTER_ADDR to an address of its machine and MASTER_PORT to"
                        + " a free port",
                host, port, Posix.reason(errno));
    }
}
