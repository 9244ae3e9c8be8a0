#include "graph/term_score.h"

#include <torch/torch.h>

namespace natgrad::detail {

torch::Tensor score_of(const LossTerm& term) {
  const auto gradient = term.gradient.detach();
  return torch::where(term.weights.ne(0).expand_as(gradient), -gradient / term.weights, 0);
}

}  // namespace natgrad::detail
