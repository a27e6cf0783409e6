// Stands in for libcuda.so.1, NVIDIA's driver: kernels run on the CPU, from the library that $SHIM names.
// Each call that matters is written to standard output.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <string>

static void* const kContext = reinterpret_cast<void*>(0x1234);
static void* current = nullptr;
static void* library = nullptr;

static int refused(const char* call) {
    const char* which = getenv("REFUSE");
    return which != nullptr && std::string(which) == call;
}

extern "C" {
int cuInit(unsigned) { return refused("cuInit") ? 100 : 0; }
int cuDriverGetVersion(int* version) {
    *version = atoi(getenv("VERSION"));
    return 0;
}
int cuDeviceGet(int* device, int ordinal) {
    *device = ordinal;
    return 0;
}
int cuDevicePrimaryCtxRetain(void** context, int) {
    *context = kContext;
    return 0;
}
int cuCtxSetCurrent(void* context) {
    current = context;
    return 0;
}
int cuModuleLoadData(void** module, const void* image) {
    printf("load %.3s\n", static_cast<const char*>(image) + 1);
    library = dlopen(getenv("SHIM"), RTLD_NOW);
    *module = library;
    return current == kContext && library != nullptr ? 0 : 201;
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
    *function = dlsym(module, (std::string("run_") + name).c_str());
    return *function != nullptr ? 0 : 500;
}
int cuLaunchKernel(void* function, unsigned blocks, unsigned, unsigned, unsigned block, unsigned, unsigned,
                   unsigned, void* stream, void** arguments, void**) {
    printf("launch %u x %u on %p\n", blocks, block, stream);
    fflush(stdout);
    if (current != kContext) return 201;
    if (refused("cuLaunchKernel")) return 700;
    return reinterpret_cast<int (*)(unsigned, unsigned, void**)>(function)(blocks, block, arguments) ? 0
                                                                                                     : 719;
}
// NVRTC asks for it, and takes no for an answer.
int cuGetExportTable(const void** table, const void*) {
    *table = nullptr;
    return 1;
}
static int unknown() { return 801; }
int cuGetProcAddress_v2(const char* symbol, void** function, int, uint64_t, int*) {
    *function = dlsym(dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD), symbol);
    if (*function == nullptr) *function = reinterpret_cast<void*>(unknown);
    return 0;
}
}
