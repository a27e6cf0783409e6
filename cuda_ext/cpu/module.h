// What each source file offers to module.cpp.
#pragma once
#include <nanobind/nanobind.h>

namespace fourd {

void bind_evidence(nanobind::module_& m);   // evidence.cpp
void bind_rasterize(nanobind::module_& m);  // rasterize.cpp
void bind_sweep(nanobind::module_& m);      // sweep.cpp

}  // namespace fourd
