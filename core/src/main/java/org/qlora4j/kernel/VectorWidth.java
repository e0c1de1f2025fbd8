package org.qlora4j.kernel;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorSpecies;
import org.qlora4j.tensor.CpuFeatures;

/**
 * The vectors that the row kernels are written for: of 512, 256 or 128 bits, as wide as this CPU
 * and JVM have them. Touches the Vector API, so it is loaded only where the module is there.
 */
final class VectorWidth {
    /** A width that tests ask for; vectors wider than the machine's are right, but slow. */
    private static final String ASKED = "qlora.vector.bits";

    private static final int WIDEST = 512;
    private static final int NARROWEST = 128;

    private static final int MACHINE = FloatVector.SPECIES_PREFERRED.vectorBitSize();

    private static final int PREFERRED = preferred();

    private static final int BITS = Math.max(NARROWEST, PREFERRED);

    static final VectorSpecies<Float> FLOATS =
            switch (BITS) {
                case 512 -> FloatVector.SPECIES_512;
                case 256 -> FloatVector.SPECIES_256;
                default -> FloatVector.SPECIES_128;
            };

    /** As many ints as floats. */
    static final VectorSpecies<Integer> INTS =
            switch (BITS) {
                case 512 -> IntVector.SPECIES_512;
                case 256 -> IntVector.SPECIES_256;
                default -> IntVector.SPECIES_128;
            };

    /** As many shorts as floats. */
    static final VectorSpecies<Short> SHORTS =
            switch (BITS) {
                case 512 -> ShortVector.SPECIES_256;
                case 256 -> ShortVector.SPECIES_128;
                default -> ShortVector.SPECIES_64;
            };

    /**
     * Whether the CPU multiplies and adds in one instruction, and the JVM's vectors compare,
     * convert and permute. On x86 that begins with AVX2; before it the JVM does such an operation
     * lane by lane, at a thousandth of the speed, and a kernel does without.
     */
    static final boolean WHOLE = BITS > NARROWEST || !x86();

    private VectorWidth() {}

    /** Floats in the widest vector that this CPU and JVM use; fewer than 4 if they have none. */
    static int floats() {
        return PREFERRED / Float.SIZE;
    }

    /**
     * Whether the kernels' vectors are of that many bits, and machine code may use such too.
     *
     * @param bits 512 for AVX-512, 256 for AVX2, 128 for SSE4.1
     */
    static boolean machineHas(int bits) {
        CpuFeatures cpu = CpuFeatures.current();
        boolean instructions =
                switch (bits) {
                    case WIDEST -> cpu.avx512();
                    case NARROWEST -> cpu.sse41();
                    default -> cpu.avx2();
                };
        return MACHINE >= bits && BITS == bits && instructions;
    }

    private static int preferred() {
        int bits = Integer.getInteger(ASKED, MACHINE);
        return Math.min(WIDEST, Integer.highestOneBit(bits));
    }

    private static boolean x86() {
        String arch = System.getProperty("os.arch", "");
        return arch.equals("amd64") || arch.equals("x86_64");
    }
}
