package org.qlora4j.ask;

import static org.qlora4j.error.Require.require;

import java.net.URI;
import java.time.Duration;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;

/**
 * An address that speaks OpenAI's API, and how it is asked.
 *
 * @param address up to the version, such as {@code http://127.0.0.1:8080/v1}
 * @param model the name asked for there
 * @param key sent as a bearer token; null for none
 * @param concurrency requests under way at once
 * @param perMinute most requests a minute; 0 for no limit of ours
 * @param timeout of one request, to the last byte of its reply
 * @param retries tries after the first, for what may pass: limits, timeouts, broken connections
 * @param firstWait before the first of them, doubled with each, where the other side names none
 */
public record HttpConfig(
        URI address,
        String model,
        @Nullable String key,
        int concurrency,
        int perMinute,
        Duration timeout,
        int retries,
        Duration firstWait) {
    private static final Set<String> THIS_MACHINE =
            Set.of("127.0.0.1", "localhost", "::1", "[::1]");

    /** With an address and a model, and how others are asked unless told otherwise. */
    public static HttpConfig of(String address, String model, @Nullable String key) {
        URI uri;
        try {
            uri = URI.create(address.replaceFirst("/+$", ""));
        } catch (IllegalArgumentException e) {
            throw ConfigException.of("--address %s is no address: %s", address, e.getMessage());
        }
        return new HttpConfig(
                uri, model, key, 4, 0, Duration.ofSeconds(120), 8, Duration.ofSeconds(1));
    }

    /** Asked in another manner. */
    public HttpConfig asked(int atOnce, int aMinute, Duration newTimeout, int newRetries) {
        return new HttpConfig(
                address, model, key, atOnce, aMinute, newTimeout, newRetries, firstWait);
    }

    /** With another wait before the first retry. */
    public HttpConfig waiting(Duration first) {
        return new HttpConfig(address, model, key, concurrency, perMinute, timeout, retries, first);
    }

    public HttpConfig {
        String scheme = String.valueOf(address.getScheme());
        String host = String.valueOf(address.getHost());
        require(
                Set.of("http", "https").contains(scheme) && address.getHost() != null,
                "--address must be like https://host/v1, got %s",
                address);
        require(
                key == null || scheme.equals("https") || THIS_MACHINE.contains(host),
                "--address %s would send the key in clear; use https",
                address);
        require(concurrency >= 1, "--concurrency must be at least 1, got %d", concurrency);
        require(perMinute >= 0, "--requests-per-minute must be at least 0, got %d", perMinute);
        require(timeout.isPositive(), "--timeout must be above 0, got %s", timeout.toSeconds());
        require(retries >= 0, "--retries must be at least 0, got %d", retries);
    }
}
