package org.qlora4j.app;

import com.sun.management.HotSpotDiagnosticMXBean;
import java.lang.management.ManagementFactory;
import java.util.List;
import jdk.incubator.vector.FloatVector;
import org.qlora4j.kernel.Kernels;

/** The JVM of {@code qlora doctor}: version, flags, vector width, native access, JIT. */
final class JvmReport {
    private JvmReport() {}

    static List<Report> lines() {
        String java =
                "%s (%s), %s"
                        .formatted(
                                Runtime.version(),
                                System.getProperty("java.vendor"),
                                System.getProperty("java.home"));
        String flags = String.join(" ", ManagementFactory.getRuntimeMXBean().getInputArguments());
        boolean nativeAccess = JvmReport.class.getModule().isNativeAccessEnabled();
        return List.of(
                new Report("qlora4j", Version.current()),
                new Report("JDK", java),
                new Report("JVM options", flags.isEmpty() ? "none" : flags),
                new Report("Vector API", vectorApi()),
                new Report(
                        "native access",
                        nativeAccess ? "on" : "off; add --enable-native-access=ALL-UNNAMED"),
                new Report("loop predicates", loopPredicates()));
    }

    /** Profiled ones make C2 compile the vector kernels again and again. */
    private static String loopPredicates() {
        String option = "UseProfiledLoopPredicate";
        try {
            String value =
                    ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class)
                            .getVMOption(option)
                            .getValue();
            return Boolean.parseBoolean(value) ? "profiled; add -XX:-" + option : "plain";
        } catch (IllegalArgumentException e) {
            return "unknown: this JVM has no " + option;
        }
    }

    private static String vectorApi() {
        return Kernels.hasVectorApi() ? Lanes.describe() : "off; add " + Kernels.VECTOR_FLAG;
    }

    /** A class of its own: loading it needs the incubator module, which may be absent. */
    private static final class Lanes {
        static String describe() {
            var species = FloatVector.SPECIES_PREFERRED;
            return "%d bits, %d float lanes".formatted(species.vectorBitSize(), species.length());
        }
    }
}
