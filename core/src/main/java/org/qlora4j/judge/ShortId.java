package org.qlora4j.judge;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.UUID;

/**
 * Ids that are functions of a text: 22 digits to the base 57 of its version-5 UUID in the name
 * space of DNS (RFC 9562), as the released files have them.
 */
public final class ShortId {
    private static final String ALPHABET =
            "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    private static final int DIGITS = 22;
    private static final UUID DNS = UUID.fromString("6ba7b810-9dad-11d1-80b4-00c04fd430c8");

    private ShortId() {}

    /** The id of a text. */
    public static String of(String text) {
        UUID id = uuid5(text);
        BigInteger left =
                new BigInteger(
                        1,
                        ByteBuffer.allocate(16)
                                .putLong(id.getMostSignificantBits())
                                .putLong(id.getLeastSignificantBits())
                                .array());
        char[] digits = new char[DIGITS];
        for (int i = DIGITS - 1; i >= 0; i--) {
            BigInteger[] parts = left.divideAndRemainder(BigInteger.valueOf(ALPHABET.length()));
            digits[i] = ALPHABET.charAt(parts[1].intValue());
            left = parts[0];
        }
        return new String(digits);
    }

    private static UUID uuid5(String text) {
        MessageDigest sha1;
        try {
            sha1 = MessageDigest.getInstance("SHA-1");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every JDK has it
        }
        sha1.update(
                ByteBuffer.allocate(16)
                        .putLong(DNS.getMostSignificantBits())
                        .putLong(DNS.getLeastSignificantBits())
                        .array());
        ByteBuffer hash = ByteBuffer.wrap(sha1.digest(text.getBytes(StandardCharsets.UTF_8)));
        long high = hash.getLong() & ~0xF000L | 0x5000L;
        long low = hash.getLong() & ~0xC000000000000000L | 0x8000000000000000L;
        return new UUID(high, low);
    }
}
