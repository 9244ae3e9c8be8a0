#pragma once

#include <ATen/core/LegacyTypeDispatch.h>

namespace natgrad::detail {

/// While it lives, this thread's operations go past autograd to their kernels: nothing is recorded,
/// and a write in place is not counted. For arithmetic on natgrad's own tensors, of which small
/// ones cost little more than the way through autograd.
using PlainArithmetic = at::AutoDispatchBelowADInplaceOrView;

}  // namespace natgrad::detail
