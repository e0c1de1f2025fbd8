package org.qlora4j.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.DeviceException;
import org.qlora4j.tensor.Cuda;
import org.qlora4j.tensor.CudaDriver;

/**
 * What there is of CUDA on this machine, and what is missing: libtorch's CUDA build, NVIDIA's
 * driver, a device that is new enough, the compiler of kernels.
 *
 * @param build what libtorch was built for, e.g. {@code CUDA 13.1, cuDNN 9.19.0}, or why not
 * @param driver newest CUDA version that the driver runs, or why there is none
 * @param compiler NVRTC's file and version, or why there is none
 * @param devices one line each
 * @param missing why {@code cuda:0} cannot be used, and the remedy; null if it can
 */
public record CudaStatus(
        String build,
        String driver,
        String compiler,
        List<String> devices,
        @Nullable String missing) {
    /**
     * The oldest devices, as compute capability times ten, that the libtorch on Maven Central has
     * code for: it holds 7.5, 8.0, 9.0, 10.0, 10.3, 12.0 and 12.1.
     */
    private static final int OLDEST = 75;

    private static final String CPU_BUILD =
            "libtorch is built for the CPU; use the archive qlora4j-...-cuda, or build with mvn -Pcuda";

    /**
     * Looks at everything, and fails at nothing. Slow where there is a device: asking for its free
     * memory wakes it.
     */
    public static CudaStatus take() {
        return new CudaStatus(
                orProblem(() -> Cuda.buildVersions().orElse("none; libtorch is built for the CPU")),
                orProblem(() -> "runs CUDA up to " + CudaDriver.open().cudaVersion()),
                orProblem(() -> Nvrtc.open().describe()),
                describeDevices(),
                whatIsMissing().orElse(null));
    }

    private static String orProblem(Supplier<String> fact) {
        try {
            return fact.get();
        } catch (DeviceException e) {
            return String.valueOf(e.getMessage());
        }
    }

    private static List<String> describeDevices() {
        List<String> lines = new ArrayList<>();
        try {
            CudaDriver driver = CudaDriver.open();
            for (int i = 0; i < driver.deviceCount(); i++) {
                lines.add(
                        "%s, compute capability %s, %.1f GiB, %.1f GiB free"
                                .formatted(
                                        driver.name(i),
                                        Nvrtc.capability(driver.computeCapability(i)),
                                        driver.memory(i) / 0x1p30,
                                        driver.freeMemory(i) / 0x1p30));
            }
        } catch (DeviceException e) {
            // the driver's own line says it
        }
        return lines;
    }

    /** Why {@code cuda:0} cannot be used, and the remedy; empty if it can. */
    static Optional<String> whatIsMissing() {
        CudaDriver driver;
        int found;
        try {
            if (!Cuda.builtIn()) {
                return Optional.of(CPU_BUILD);
            }
            driver = CudaDriver.open();
            found = driver.deviceCount();
        } catch (DeviceException e) {
            return Optional.of(String.valueOf(e.getMessage()));
        }
        if (found == 0) {
            return Optional.of(
                    "the driver shows no CUDA device; see nvidia-smi, and whether CUDA_VISIBLE_DEVICES hides it");
        }
        if (driver.computeCapability(0) < OLDEST) {
            return Optional.of(
                    "%s has compute capability %s, libtorch needs %s or newer; use device cpu"
                            .formatted(
                                    driver.name(0),
                                    Nvrtc.capability(driver.computeCapability(0)),
                                    Nvrtc.capability(OLDEST)));
        }
        if (Cuda.deviceCount() == 0) {
            return Optional.of(
                    "the NVIDIA driver runs CUDA up to %s, libtorch is built for %s; install a newer driver"
                            .formatted(driver.cudaVersion(), Cuda.buildVersions().orElse("none")));
        }
        return Optional.empty();
    }
}
