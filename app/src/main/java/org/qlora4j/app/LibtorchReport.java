package org.qlora4j.app;

import java.util.ArrayList;
import java.util.List;
import org.qlora4j.error.DeviceException;
import org.qlora4j.kernel.CudaStatus;
import org.qlora4j.kernel.DeviceChoice;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.Cuda;
import org.qlora4j.tensor.Engine;

/** libtorch, CUDA, and what {@code device: auto} comes to, of {@code qlora doctor}. */
final class LibtorchReport {
    private LibtorchReport() {}

    static List<Report> lines() {
        CudaStatus cuda = CudaStatus.take();
        var lines = new ArrayList<Report>();
        lines.add(new Report("libtorch", libtorch()));
        lines.add(new Report("CUDA", cuda.build()));
        lines.add(new Report("NVIDIA driver", cuda.driver()));
        lines.add(new Report("NVRTC", cuda.compiler()));
        for (int i = 0; i < cuda.devices().size(); i++) {
            lines.add(new Report("GPU " + i, cuda.devices().get(i)));
        }
        if (!libtorch().equals(cuda.missing())) { // it can be loaded
            lines.addAll(choice(cuda));
        }
        return lines;
    }

    /** Version, threads and the instructions it uses, or why it cannot be loaded. */
    private static String libtorch() {
        try {
            int threads = Engine.threads();
            return "%s, %d threads, %s"
                    .formatted(Cuda.libtorchVersion(), threads, Engine.cpuCapability());
        } catch (DeviceException e) {
            return String.valueOf(e.getMessage());
        }
    }

    private static List<Report> choice(CudaStatus cuda) {
        Kernels kernels = Kernels.select(DeviceChoice.AUTO);
        String device = kernels.deviceName();
        String compute = kernels.hasBf16() ? "bf16" : "f32; no bf16 instructions";
        return List.of(
                new Report(
                        "device",
                        cuda.missing() == null
                                ? device
                                : device + "; not cuda:0: " + cuda.missing()),
                new Report("kernels", kernels.name() + ": " + kernels.reason()),
                new Report("compute dtype", compute));
    }
}
