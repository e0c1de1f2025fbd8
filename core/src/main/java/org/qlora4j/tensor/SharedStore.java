package org.qlora4j.tensor;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.chrono.Milliseconds;
import org.bytedeco.pytorch.ByteVector;
import org.bytedeco.pytorch.IntOptional;
import org.bytedeco.pytorch.StringVector;
import org.bytedeco.pytorch.TCPStore;
import org.bytedeco.pytorch.TCPStoreOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch_gloo;
import org.jspecify.annotations.Nullable;

/**
 * Names and values that the processes of a run share: libtorch's {@code TCPStore}. One process
 * serves it, all are clients. One thread at a time uses an object of it.
 */
public final class SharedStore implements AutoCloseable {
    /** Keeps our keys from those of libtorch. */
    private static final String PREFIX = "qlora4j/";

    private final TCPStore store;

    private SharedStore(TCPStore store) {
        this.store = store;
    }

    /**
     * Serves a store on one address and no other, and is a client of it.
     *
     * @throws RuntimeException with the system's reason, if the address cannot be taken
     */
    public static SharedStore serve(String host, int port, Duration timeout) {
        return new SharedStore(open(host, port, timeout, ListeningSocket.open(host, port)));
    }

    /**
     * A client of a store that is served elsewhere, which may begin later.
     *
     * @param timeout how long to wait for it; also of each question afterwards
     * @throws RuntimeException if nothing serves it so long
     */
    public static SharedStore connect(String host, int port, Duration timeout) {
        return new SharedStore(client(host, port, timeout));
    }

    /** libtorch's own client. */
    static TCPStore client(String host, int port, Duration timeout) {
        return open(host, port, timeout, -1);
    }

    private static TCPStore open(String host, int port, Duration timeout, int listening) {
        Libtorch.load();
        Loader.load(torch_gloo.class);
        torch.initLogging(); // heeds TORCH_CPP_LOG_LEVEL: a lost connection is a page of C++ else
        try (TCPStoreOptions options = new TCPStoreOptions();
                IntOptional socket = new IntOptional(listening);
                Milliseconds patience = new Milliseconds(timeout.toMillis())) {
            options.port((short) port).isServer(listening >= 0).waitWorkers(false);
            options.timeout(patience).useLibUV(false);
            if (listening >= 0) {
                options.masterListenFd(socket);
            }
            return new TCPStore(host, options);
        }
    }

    /** Sets a value. */
    public void set(String key, String value) {
        try (ByteVector bytes = bytes(value)) {
            store.set(PREFIX + key, bytes);
        }
    }

    /** Sets a value unless the key has one. */
    public void setIfAbsent(String key, String value) {
        try (ByteVector none = bytes("");
                ByteVector bytes = bytes(value)) {
            store.compareSet(PREFIX + key, none, bytes).deallocate();
        }
    }

    /** The value of a key; null if it has none yet. */
    public @Nullable String get(String key) {
        try (StringVector keys = new StringVector(PREFIX + key)) {
            if (!store.check(keys)) {
                return null;
            }
        }
        try (ByteVector bytes = store.get(PREFIX + key)) {
            return new String(bytes.get(), StandardCharsets.UTF_8);
        }
    }

    /** Adds to the number of a key, which begins with 0, and returns the sum. */
    public long add(String key, long more) {
        return store.add(PREFIX + key, more);
    }

    private static ByteVector bytes(String value) {
        return new ByteVector(value.getBytes(StandardCharsets.UTF_8));
    }

    /** Ends the connection; whoever serves the store takes it away from all others. */
    @Override
    public void close() {
        store.deallocate();
    }
}
