package org.qlora4j.kernel;

import jdk.incubator.vector.FloatVector;

/** Touches the Vector API, so it is loaded only where the module is there. */
final class VectorWidth {
    private VectorWidth() {}

    /** Floats in the widest vector that this CPU and JVM use. */
    static int floats() {
        return FloatVector.SPECIES_PREFERRED.length();
    }
}
