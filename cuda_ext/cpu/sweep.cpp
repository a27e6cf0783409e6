#include "module.h"

namespace fourd {

void bind_sweep(nanobind::module_&) {}

}  // namespace fourd
