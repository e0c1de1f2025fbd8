package org.qlora4j.testing;

import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** Random damage to sound inputs, as fuzzing tries it; a function of the source of randomness. */
public final class Mutation {
    private Mutation() {}

    /** One of them. */
    public static <T> T one(List<T> values, Random random) {
        return values.get(random.nextInt(values.size()));
    }

    /**
     * Changes a text in a few places: cuts, doubles, moves parts of it, puts in other pieces.
     *
     * @param pieces what may be put in
     */
    public static String text(String text, List<String> pieces, Random random) {
        StringBuilder out = new StringBuilder(text);
        for (int i = random.nextInt(4); i >= 0; i--) {
            int at = random.nextInt(out.length() + 1);
            int to = Math.min(out.length(), at + random.nextInt(1 + random.nextInt(40)));
            String part = out.substring(at, to);
            switch (random.nextInt(6)) {
                case 0 -> out.delete(at, to);
                case 1 -> out.insert(at, part);
                case 2 -> out.insert(random.nextInt(out.length() + 1), part);
                case 3 -> out.replace(at, to, one(pieces, random));
                case 4 -> out.insert(at, one(pieces, random));
                default -> {
                    if (at < out.length()) {
                        out.setCharAt(at, (char) (32 + random.nextInt(95)));
                    }
                }
            }
        }
        return random.nextInt(12) == 0
                ? out.substring(0, random.nextInt(out.length() + 1))
                : out.toString();
    }

    /**
     * Changes bytes in a few places.
     *
     * @param from where most of them lie
     */
    public static byte[] bytes(byte[] sound, int from, Random random) {
        byte[] out = sound.clone();
        for (int i = random.nextInt(6); i >= 0; i--) {
            int low = random.nextInt(4) == 0 ? 0 : from;
            int at = low + random.nextInt(out.length - low);
            out[at] =
                    switch (random.nextInt(4)) {
                        case 0 -> (byte) random.nextInt(256);
                        case 1 -> (byte) 0xFF;
                        case 2 -> 0;
                        default -> (byte) (out[at] ^ (1 << random.nextInt(8)));
                    };
        }
        return random.nextInt(10) == 0 ? Arrays.copyOf(out, random.nextInt(out.length)) : out;
    }
}
