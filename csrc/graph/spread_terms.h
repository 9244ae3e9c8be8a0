#pragma once

#include "detail.h"

#include <torch/csrc/autograd/edge.h>

#include <vector>

#include "graph/term_readers.h"

namespace natgrad::detail {

/// A Gaussian likelihood with a spread of its own, ½ (log v + r²/v), as users write it:
/// r² · exp(-log v), r²/exp(log v), the same with 2 log σ for log v or σ² for v or, with log(v) or
/// log(σ) elsewhere in the loss, r²/v and r²/σ². It is two terms:
///
///  - in r: Gaussian of variance 1, s = 2c/v;
///  - in log v, v, log σ or σ: ResidualSpread, s = 2c.
bool is_scaled_square(torch::autograd::Node& node);
TermReading read_scaled_square(torch::autograd::Node& node, const torch::Tensor& c);
TermReading read_spread(torch::autograd::Node& node, const torch::Tensor& c);

/// What log q may be, but for a constant: factor · z of q = k e^(factor z), or factor · log z of
/// q = k z^factor.
struct Logarithm {
  torch::autograd::Edge z;
  double factor;
  bool is_undone;  ///< the former: z is no longer under a logarithm
};
std::vector<Logarithm> logarithms_of(const torch::autograd::Edge& q);

}  // namespace natgrad::detail
