package org.qlora4j.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;
import org.qlora4j.error.DeviceException;

/** How libtorch is loaded and called. */
class LibtorchTest {
    /** An unreachable pointer must neither be freed by the collector nor counted by JavaCPP. */
    @Test
    void javaCpp_neitherCountsNorFrees() throws InterruptedException {
        Libtorch.load();
        assertThat(Pointer.maxBytes()).isZero();
        assertThat(Pointer.maxPhysicalBytes()).isZero();
        long address = abandonedPointer();
        for (int i = 0; i < 5; i++) {
            System.gc();
            Thread.sleep(20);
        }
        assertThat(Pointer.totalBytes()).as("bytes that JavaCPP tracks").isZero();
        // still readable, with what was written: nobody has freed it
        MemorySegment memory = MemorySegment.ofAddress(address).reinterpret(4000);
        assertThat(memory.get(ValueLayout.JAVA_FLOAT, 3996)).isEqualTo(42);
        assertThat(Thread.getAllStackTraces().keySet())
                .noneMatch(t -> t.getName().contains("JavaCPP Deallocator"));
    }

    private static long abandonedPointer() {
        FloatPointer pointer = new FloatPointer(1000);
        pointer.put(999, 42);
        return pointer.address();
    }

    @Test
    void moreMemoryThanThereIs_isAUserErrorOfOneLine() {
        try (TensorScope scope = TensorScope.open()) {
            assertThatThrownBy(() -> Tensors.empty(DType.F32, 1L << 50))
                    .isInstanceOf(DeviceException.class)
                    .hasMessageStartingWith("out of memory: ")
                    .hasMessageContaining("per_device_train_batch_size")
                    .message()
                    .doesNotContain("\n");
        }
    }

    @Test
    void buildForCpus_saysThatItSumsNothingOverGpus() {
        assumeThat(getClass().getResource("/org/bytedeco/pytorch/linux-x86_64-gpu")).isNull();
        assertThatThrownBy(ProcessGroup::loadNccl)
                .isInstanceOf(DeviceException.class)
                .hasMessage(
                        "sums over GPUs (NCCL) need qlora4j's CUDA build (mvn -Pcuda); set model.device=cpu");
    }

    /** The chain that JavaCPP throws where the CUDA build finds no CUDA. */
    @Test
    void missingLibraryOfCuda_isOneLineThatNamesItAndTheRemedy() {
        var loader =
                new UnsatisfiedLinkError(
                        "/c/libjnitorch.so: libcupti.so.13: cannot open shared object file: No such file");
        var thrown = new UnsatisfiedLinkError("no jnitorch in java.library.path: /usr/lib");
        thrown.initCause(loader);
        assertThat(Libtorch.explain(thrown))
                .startsWith(
                        "libtorch's CUDA build cannot be loaded: libcupti.so.13 not found; install CUDA 13")
                .contains("LD_LIBRARY_PATH")
                .doesNotContain("\n");
        var libcudart = new UnsatisfiedLinkError("libcudart.so.13: cannot open");
        assertThat(Libtorch.explain(libcudart)).contains("libcudart.so.13 not found");
    }

    @Test
    void otherMissingLibrary_isNamedWithThePlatform() {
        var thrown = new UnsatisfiedLinkError("no jnitorch in java.library.path: /usr/lib");
        thrown.initCause(new UnsatisfiedLinkError("libgomp.so.1: cannot open\nsecond line"));
        assertThat(Libtorch.explain(thrown))
                .contains("libgomp.so.1: cannot open; run 'qlora doctor'")
                .doesNotContain("CUDA")
                .doesNotContain("\n");
    }

    @Test
    void shapesThatDoNotFit_areADefectOfOurs() {
        try (TensorScope scope = TensorScope.open()) {
            Tensor a = Tensors.zeros(DType.F32, 2, 3);
            assertThatThrownBy(() -> a.mm(a))
                    .isInstanceOf(RuntimeException.class)
                    .isNotInstanceOf(org.qlora4j.error.UserException.class);
        }
    }

    @Test
    void poison_fillsUninitializedMemory() {
        try (TensorScope scope = TensorScope.open()) {
            try (Poison poison = Poison.open()) {
                assertThat(Tensors.empty(DType.F32, 100).toFloats()).containsOnly(Float.NaN);
                assertThat(Tensors.empty(DType.BF16, 100).toFloats()).containsOnly(Float.NaN);
            }
            // and no longer after it is closed
            Tensors.full(3, DType.F32, 100).close();
            assertThat(Tensors.zeros(DType.F32, 100).toFloats()).containsOnly(0);
        }
    }

    @Test
    void mappedMemory_isSharedNotCopied() {
        long before = NativeMemory.liveBytes();
        try (Arena arena = Arena.ofConfined();
                TensorScope scope = TensorScope.open()) {
            MemorySegment memory = arena.allocate(24, 8);
            Tensor over = Tensors.over(memory, DType.F32, 2, 3);
            assertThat(NativeMemory.liveBytes()).isEqualTo(before);
            over.fill(1.5);
            assertThat(memory.getAtIndex(ValueLayout.JAVA_FLOAT, 5)).isEqualTo(1.5f);
            assertThatThrownBy(() -> Tensors.over(memory, DType.F64, 2, 3))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("the memory is smaller than the tensor");
            assertThatThrownBy(() ->
                            Tensors.over(MemorySegment.ofArray(new byte[24]), DType.F32, 2, 3))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("Java heap");
        }
    }

    @Test
    void engine_runsOnOneThreadAndPassesExceptionsOn() {
        Thread first = Engine.call(Thread::currentThread);
        assertThat(first).isNotSameAs(Thread.currentThread());
        assertThat(Engine.<Thread>call(Thread::currentThread)).isSameAs(first);
        assertThat(Engine.<Thread>call(() -> Engine.call(Thread::currentThread)))
                .as("from the engine itself: at once")
                .isSameAs(first);
        assertThatThrownBy(() ->
                        Engine.run(() -> {
                            throw new ArithmeticException("on purpose");
                        }))
                .isInstanceOf(ArithmeticException.class);
        assertThatThrownBy(() ->
                        Engine.call(() -> {
                            throw new java.io.IOException("checked");
                        }))
                .isInstanceOf(java.io.IOException.class);
        assertThat(Engine.<Thread>call(Thread::currentThread)).isSameAs(first);
    }
}
