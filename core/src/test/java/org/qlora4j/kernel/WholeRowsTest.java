package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;
import static org.junit.jupiter.params.provider.Arguments.argumentSet;

import java.util.Arrays;
import java.util.Random;
import java.util.function.IntToDoubleFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Groups of x in whole numbers, which must neither overflow nor lose more than they say. */
class WholeRowsTest {
    private static final int GROUP = WholeRows.GROUP;

    /** What no sum of a group may reach: times a level, at most 2^13, it would be 2^31. */
    private static final int SUM_LIMIT = 1 << 18;

    /** The unit itself is a float, so that the largest numbers are off by 2^-9 of it more. */
    private static final double HALF_UNIT = 0.5 + 0x1p-8;

    static Stream<Arguments> groups() {
        Random random = new Random(1);
        return Stream.of(
                group("one spike", i -> i == 17 ? -3 : 0),
                group("a spike of the smallest noise", i -> i == 63 ? 1000 : 1e-4 * (i % 3 - 1)),
                group("all equal", i -> 0.7),
                group("all equal and negative", i -> -0.7),
                group("in turns", i -> i % 2 == 0 ? 5 : -5),
                group("a power of two", i -> 4),
                group("normal", i -> random.nextGaussian()),
                group("growing", i -> i * 1e-3),
                group("zeros", i -> 0),
                group("tiny", i -> 1e-38),
                group("smallest", i -> Float.MIN_VALUE),
                group("almost tiny", i -> 1e-28 * (i - 20)),
                group("huge, whose sum overflows", i -> 3e38 * (i % 2 == 0 ? 1 : -1)),
                group("one huge", i -> i == 5 ? -Float.MAX_VALUE : i));
    }

    private static Arguments group(String name, IntToDoubleFunction value) {
        return argumentSet(name, (Object) floats(value));
    }

    private static float[] floats(IntToDoubleFunction value) {
        float[] x = new float[GROUP];
        for (int i = 0; i < GROUP; i++) {
            x[i] = (float) value.applyAsDouble(i);
        }
        return x;
    }

    @ParameterizedTest
    @MethodSource("groups")
    void group_isWithinHalfAUnitAndItsBounds(float[] x) {
        Rounded rounded = round(x);
        rounded.assertBounds();
        for (int i = 0; i < GROUP; i++) {
            double off = Math.abs(x[i] - (double) rounded.unit * rounded.whole[i]);
            assertThat(off).as("%d: %s", i, x[i]).isLessThanOrEqualTo(HALF_UNIT * rounded.unit);
        }
    }

    /** A spike alone takes all 16 bits; 64 equal numbers take what their sum may be. */
    @Test
    void units_areAsSmallAsTheBoundsAllow() {
        Rounded spike = round(floats(i -> i == 17 ? -3 : 0));
        assertThat(spike.whole[17]).isEqualTo((short) -Short.MAX_VALUE);
        assertThat(spike.unit).isCloseTo(3f / Short.MAX_VALUE, withinPercentage(1e-4));
        Rounded equal = round(floats(i -> 0.7));
        int most = SUM_LIMIT / GROUP - 1;
        assertThat(equal.whole).containsOnly((short) most);
        assertThat(equal.unit).isCloseTo(0.7f / most, withinPercentage(1e-4));
    }

    /**
     * A product with them must show it, as one of floats does: no number times such a unit is one.
     */
    @Test
    void numbersThatAreNotFinite_giveAUnitThatIsNot() {
        for (float bad :
                new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            for (int place : new int[] {0, 17, 63}) {
                Rounded rounded = round(floats(i -> i == place ? bad : 1));
                rounded.assertBounds();
                for (int i = 0; i < GROUP; i++) {
                    assertThat(rounded.unit * rounded.whole[i]).as("%s at %d", bad, place).isNaN();
                }
            }
        }
    }

    private static Rounded round(float[] x) {
        float[] among = new float[3 * GROUP]; // neighbours have no part in it
        Arrays.fill(among, Float.NaN);
        System.arraycopy(x, 0, among, GROUP, GROUP);
        int[] whole = new int[GROUP];
        float unit = WholeRows.round(among, GROUP, whole, 1);
        return new Rounded(shorts(whole), unit);
    }

    /** The lowest 16 bits are the number. */
    private static short[] shorts(int[] whole) {
        short[] shorts = new short[whole.length];
        for (int i = 0; i < shorts.length; i++) {
            shorts[i] = (short) whole[i];
        }
        return shorts;
    }

    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Rounded(short[] whole, float unit) {
        void assertBounds() {
            int sum = 0;
            for (short number : whole) {
                assertThat(Math.abs((int) number)).isLessThanOrEqualTo(Short.MAX_VALUE);
                sum += Math.abs((int) number);
            }
            assertThat(sum).isLessThan(SUM_LIMIT);
        }
    }
}
