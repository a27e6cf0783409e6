// What each source file offers to module.cpp.
#pragma once
#include <nanobind/nanobind.h>

namespace fourd {

void bind_bundle(nanobind::module_& m);              // bundle.cpp
void bind_discs(nanobind::module_& m);               // discs.cpp
void bind_contribution(nanobind::module_& m);        // contribution.cpp
void bind_evidence(nanobind::module_& m);            // evidence.cpp
void bind_consistency(nanobind::module_& m);         // consistency.cpp
void bind_redundant(nanobind::module_& m);           // redundant.cpp
void bind_planes(nanobind::module_& m);              // planes.cpp
void bind_rasterize(nanobind::module_& m);           // rasterize.cpp
void bind_rasterize_backward(nanobind::module_& m);  // rasterize_backward.cpp
void bind_sweep(nanobind::module_& m);               // sweep.cpp

}  // namespace fourd
