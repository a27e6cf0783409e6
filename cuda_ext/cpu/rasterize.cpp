#include "module.h"

namespace fourd {

void bind_rasterize(nanobind::module_&) {}

}  // namespace fourd
