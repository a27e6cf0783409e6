// The Python module of the CPU kernels: each source file binds its own functions here.
#include "module.h"

#include <nanobind/nanobind.h>

NB_MODULE(_cpu, m) {
    m.doc() = "CPU kernels of fourd. Reached through fourd.native.ops only.";
    fourd::bind_bundle(m);
    fourd::bind_discs(m);
    fourd::bind_evidence(m);
    fourd::bind_consistency(m);
    fourd::bind_redundant(m);
    fourd::bind_planes(m);
    fourd::bind_rasterize(m);
    fourd::bind_sweep(m);
}
