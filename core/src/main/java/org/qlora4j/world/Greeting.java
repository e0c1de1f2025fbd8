package org.qlora4j.world;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.HexFormat;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.UserException;
import org.qlora4j.tensor.SharedStore;

/**
 * What processes tell each other before anything else: how many they think they are, what adds up
 * their tensors, and that they know the token, by an HMAC over a number that process 0 has drawn.
 */
final class Greeting {
    private static final String ALGORITHM = "HmacSHA256";
    private static final String REFUSED = "refused";
    private static final String WELCOME = "welcome";

    private final SharedStore store;
    private final Membership own;
    private final String backend;
    private final long end;
    private final Duration coming;

    private Greeting(SharedStore store, Membership own, String backend, Duration coming) {
        this.store = store;
        this.own = own;
        this.backend = backend;
        this.coming = coming;
        this.end = System.nanoTime() + coming.toNanos();
    }

    /**
     * Returns when all processes have come and belong together.
     *
     * @param backend of this process: gloo or nccl
     */
    static void exchange(SharedStore store, Membership own, String backend, Duration coming) {
        Greeting greeting = new Greeting(store, own, backend, coming);
        try {
            if (own.rank() == 0) {
                greeting.receive();
            } else {
                greeting.greet();
            }
        } catch (ConfigException e) {
            store.setIfAbsent(REFUSED, String.valueOf(e.getMessage()));
            if (own.rank() == 0) {
                LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(500)); // the others read it
            }
            throw e;
        }
    }

    private void receive() {
        byte[] drawn = new byte[16];
        new SecureRandom().nextBytes(drawn);
        String nonce = HexFormat.of().formatHex(drawn);
        store.set("nonce", nonce);
        store.set("hello/0", hello(nonce));
        for (int peer = 1; peer < own.size(); peer++) {
            check(peer, await("hello/" + peer, "process " + peer), nonce);
        }
        store.set(WELCOME, "yes");
    }

    private void greet() {
        String first = await("hello/0", "process 0");
        String nonce = await("nonce", "process 0");
        if (store.add("claims/" + own.rank(), 1) > 1) {
            throw ConfigException.of(
                    "two processes have RANK %d of %d; give each its own", own.rank(), own.size());
        }
        check(0, first, nonce);
        store.set("hello/" + own.rank(), hello(nonce));
        await(WELCOME, "another process");
    }

    private String hello(String nonce) {
        return own.size() + " " + proof(nonce, own.rank()) + " " + backend;
    }

    private void check(int peer, String hello, String nonce) {
        String[] words = hello.split(" ", -1);
        if (!words[0].equals(String.valueOf(own.size()))) {
            throw ConfigException.of(
                    "WORLD_SIZE is %d for process %d and %s for process %d; give all the same",
                    own.size(), own.rank(), words[0], peer);
        }
        byte[] given = words[1].getBytes(StandardCharsets.US_ASCII);
        byte[] expected = proof(nonce, peer).getBytes(StandardCharsets.US_ASCII);
        if (!MessageDigest.isEqual(given, expected)) {
            throw ConfigException.of(
                    "%s of process %d is not that of process %d; give all the same",
                    Membership.TOKEN, own.rank(), peer);
        }
        if (words.length > 2 && !words[2].equals(backend)) {
            throw ConfigException.of(
                    "process %d sums by %s, process %d by %s: some have a GPU; set model.device, and give each a GPU"
                            + " of its own by CUDA_VISIBLE_DEVICES",
                    own.rank(), backend, peer, words[2]);
        }
    }

    /** Shows that a process knows the token, without telling it. */
    private String proof(String nonce, int rank) {
        String key = own.token().isEmpty() ? "none" : "token " + own.token();
        try {
            Mac mac = Mac.getInstance(ALGORITHM);
            mac.init(new SecretKeySpec(key.getBytes(StandardCharsets.UTF_8), ALGORITHM));
            byte[] message = (nonce + " " + rank).getBytes(StandardCharsets.UTF_8);
            return HexFormat.of().formatHex(mac.doFinal(message));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("every JDK has " + ALGORITHM, e);
        }
    }

    private String await(String key, String who) {
        while (true) {
            String value = get(key);
            if (value != null) {
                return value;
            }
            String refused = get(REFUSED);
            if (refused != null) {
                throw new ConfigException(refused);
            }
            if (System.nanoTime() > end) {
                throw DeviceException.of(
                        "%s of %d has not come within %d s; start it, with the same MASTER_ADDR and MASTER_PORT",
                        who, own.size(), coming.toSeconds());
            }
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(10));
        }
    }

    private @Nullable String get(String key) {
        try {
            return store.get(key);
        } catch (UserException e) {
            throw e;
        } catch (RuntimeException e) { // libtorch's: the connection is lost
            throw new DeviceException("process 0 of %d is gone".formatted(own.size()), e);
        }
    }
}
