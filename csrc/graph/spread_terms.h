#pragma once

#include "detail.h"

#include "graph/term_readers.h"

namespace natgrad::detail {

/// A Gaussian likelihood with a spread of its own, ½ (log v + r²/v), as users write it:
/// r² · exp(-log v), r²/exp(log v) or, with log(v) elsewhere in the loss, r²/v. It is two terms:
///
///  - in r: Gaussian of variance 1, s = 2c/v;
///  - in log v or v: ResidualSpread, s = 2c.
bool is_scaled_square(torch::autograd::Node& node);
TermReading read_scaled_square(torch::autograd::Node& node, const torch::Tensor& c);
TermReading read_spread(torch::autograd::Node& node, const torch::Tensor& c);

}  // namespace natgrad::detail
