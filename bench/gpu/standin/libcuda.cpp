// A stand-in for NVIDIA's driver (libcuda.so.1) with which qlora4j's CUDA kernels run on the CPU, for machines without a
// GPU: it includes their source and calls them thread by thread. It shows that arguments arrive where the kernels expect
// them and that the arithmetic is that of the reference; it shows nothing about speed, or about threads that disturb
// each other. run.sh builds it and runs the tests on it.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

// ---- CUDA C as C++
struct Dim { unsigned int x, y, z; };
static Dim threadIdx, blockIdx, blockDim;
static void __syncthreads() {}
static float __fmul_rn(float a, float b) { return a * b; } // built with -ffp-contract=off
static float __fadd_rn(float a, float b) { return a + b; }
static unsigned int __float_as_uint(float x) {
    unsigned int bits;
    std::memcpy(&bits, &x, 4);
    return bits;
}
static unsigned short to_half(float x) {
    _Float16 half = (_Float16)x;
    unsigned short bits;
    std::memcpy(&bits, &half, 2);
    return bits;
}
#define __device__ static inline
#define __global__
#define __shared__ static
#define __grid_constant__
#define asm(...) half = to_half(x) // the only instruction spelled out is cvt.rn.f16.f32
#include "four_bit.cu"
#undef asm

template <typename T>
static void run(void (*kernel)(const Weight, const Levels, const Map, T*), void** arguments) {
    kernel(*(Weight*)arguments[0], *(Levels*)arguments[1], *(Map*)arguments[2], *(T**)arguments[3]);
}
static void run_f32(void** arguments) { run(dequantize_f32, arguments); }
static void run_bf16(void** arguments) { run(dequantize_bf16, arguments); }
static void run_f16(void** arguments) { run(dequantize_f16, arguments); }

// ---- the driver API, as far as CudaDriver.java uses it
static const int INVALID_VALUE = 1, INVALID_IMAGE = 200, NOT_FOUND = 500;

extern "C" {
int cuInit(unsigned int) { return 0; }
int cuDriverGetVersion(int* version) { *version = 13010; return 0; }
int cuDeviceGetCount(int* count) { *count = 1; return 0; }
int cuDeviceGet(int* device, int index) { *device = index; return index == 0 ? 0 : INVALID_VALUE; }
int cuDeviceGetName(char* name, int length, int) { std::strncpy(name, "stand-in", length); return 0; }
int cuDeviceGetAttribute(int* value, int attribute, int) {
    *value = attribute == 75 ? 9 : 0; // compute capability 9.0
    return attribute == 75 || attribute == 76 ? 0 : INVALID_VALUE;
}
int cuDeviceTotalMem_v2(size_t* bytes, int) { *bytes = (size_t)80 << 30; return 0; }
int cuMemGetInfo_v2(size_t* free, size_t* total) { *free = (size_t)79 << 30; *total = (size_t)80 << 30; return 0; }

static void* current = nullptr;
int cuCtxGetCurrent(void** context) { *context = current; return 0; }
int cuDevicePrimaryCtxRetain(void** context, int) { *context = (void*)1; return 0; }
int cuCtxSetCurrent(void* context) { current = context; return 0; }

int cuMemAllocManaged(uint64_t* address, size_t bytes, unsigned int flags) {
    *address = (uint64_t)std::malloc(bytes);
    return flags == 1 ? 0 : INVALID_VALUE;
}
int cuMemFree_v2(uint64_t address) { std::free((void*)address); return 0; }

int cuModuleLoadData(void** module, const void* image) {
    *module = (void*)2;
    return std::memcmp(image, "\177ELF", 4) == 0 ? 0 : INVALID_IMAGE; // the CUBIN that NVRTC made
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
    *function = !std::strcmp(name, "dequantize_f32") ? (void*)run_f32
            : !std::strcmp(name, "dequantize_bf16") ? (void*)run_bf16
            : !std::strcmp(name, "dequantize_f16") ? (void*)run_f16 : nullptr;
    return module == (void*)2 && *function ? 0 : NOT_FOUND;
}
int cuLaunchKernel(void* function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
        unsigned blockZ, unsigned shared, void* stream, void** arguments, void** extra) {
    if (!current || gridY != 1 || gridZ != 1 || blockY != 1 || blockZ != 1 || shared || stream || extra) {
        return INVALID_VALUE;
    }
    blockDim = {blockX, 1, 1};
    for (blockIdx.x = 0; blockIdx.x < gridX; blockIdx.x++) {
        // twice: the first round fills what the threads of a block share, since none waits for the others here
        for (int round = 0; round < 2; round++) {
            for (threadIdx.x = 0; threadIdx.x < blockX; threadIdx.x++) {
                ((void (*)(void**))function)(arguments);
            }
        }
    }
    return 0;
}
// NVRTC asks for an inner table of the driver, and goes on without.
int cuGetExportTable(const void** table, const void*) { *table = nullptr; return NOT_FOUND; }

int cuGetErrorString(int error, const char** text) {
    *text = error == NOT_FOUND ? "named symbol not found" : error == INVALID_IMAGE ? "device kernel image is invalid"
            : "invalid argument";
    return 0;
}
}
