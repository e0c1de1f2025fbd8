// Decodes packed 4-bit codes: the contract of FourBit.dequantize, byte for byte as its twins on the CPU. Compiled by
// NVRTC at first use (CudaFourBit.java), without CUDA's headers, so the conversions are spelled out here. Levels and
// 8-bit map come as arguments: Java holds the only copy of them.
//
// A thread decodes 8 neighbours: 4 bytes in, 16 (16-bit types) or 32 bytes (f32) out, neighbours of a warp side by side.
// Blocks are powers of two from 32 on, so 8 neighbours share one absmax.

struct Levels { float value[16]; };
struct Map { float value[256]; };

// The arguments of all kernels here, as CudaFourBit.java lays them out.
struct Weight {
    const unsigned char* codes;   // [ceil(n / 2)]: element 2j in the high, 2j + 1 in the low half of byte j
    const void* absmax;           // float [blocks]; unsigned char [blocks], codes of the map, where nested
    const float* nested;          // [ceil(blocks / nestedBlock)], or null: absmax is plain
    long long n;                  // elements
    float offset;                 // added to each nested absmax
    int blockShift;               // log2 of the elements that share an absmax
    int nestedShift;              // log2 of the absmax that share a nested one
};

// Nearest, ties to even; the input is finite.
__device__ unsigned short bf16(float x) {
    unsigned int bits = __float_as_uint(x);
    return (unsigned short)((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

__device__ unsigned short f16(float x) {
    unsigned short half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(x));
    return half;
}

__device__ void store(float* out, float x) { *out = x; }

struct Bf16 { unsigned short bits; };
__device__ void store(Bf16* out, float x) { out->bits = bf16(x); }

struct F16 { unsigned short bits; };
__device__ void store(F16* out, float x) { out->bits = f16(x); }

// The scale of a block. Rounds after the product and after the sum, as the CPU does: no fused multiply-add.
__device__ float scale(const Weight& w, const Map& map, long long block) {
    if (w.nested == 0) {
        return ((const float*)w.absmax)[block];
    }
    float value = map.value[((const unsigned char*)w.absmax)[block]];
    return __fadd_rn(__fmul_rn(value, w.nested[block >> w.nestedShift]), w.offset);
}

template <typename T> struct alignas(16) Eight { T value[8]; };

template <typename T>
__device__ void dequantize(const Weight& w, const Levels& table, const Map& map, T* out) {
    __shared__ float levels[16]; // threads of a warp look up different levels: too slow in constant memory
    if (threadIdx.x < 16) {
        levels[threadIdx.x] = table.value[threadIdx.x];
    }
    __syncthreads();
    long long first = 8 * (blockIdx.x * (long long)blockDim.x + threadIdx.x);
    if (first >= w.n) {
        return;
    }
    float absmax = scale(w, map, first >> w.blockShift);
    const unsigned char* codes = w.codes + first / 2;
    if (first + 8 <= w.n) {
        unsigned int packed = *(const unsigned int*)codes; // little-endian: byte j holds elements 2j and 2j + 1
        Eight<T> eight;
        for (int i = 0; i < 8; i++) {
            int shift = 8 * (i / 2) + (i % 2 == 0 ? 4 : 0);
            store(&eight.value[i], __fmul_rn(levels[(packed >> shift) & 15u], absmax));
        }
        *(Eight<T>*)(out + first) = eight;
    } else {
        for (int i = 0; first + i < w.n; i++) {
            int shift = i % 2 == 0 ? 4 : 0;
            store(out + first + i, __fmul_rn(levels[(codes[i / 2] >> shift) & 15u], absmax));
        }
    }
}

extern "C" __global__ void dequantize_f32(
        const __grid_constant__ Weight w, const __grid_constant__ Levels levels, const __grid_constant__ Map map, float* out) {
    dequantize(w, levels, map, out);
}

extern "C" __global__ void dequantize_bf16(
        const __grid_constant__ Weight w, const __grid_constant__ Levels levels, const __grid_constant__ Map map, Bf16* out) {
    dequantize(w, levels, map, out);
}

extern "C" __global__ void dequantize_f16(
        const __grid_constant__ Weight w, const __grid_constant__ Levels levels, const __grid_constant__ Map map, F16* out) {
    dequantize(w, levels, map, out);
}
