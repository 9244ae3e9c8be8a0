#include "support/losses.h"

#include "support/dense_oracles.h"
#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing {

std::vector<LossCase> likelihood_losses() {
  std::vector<LossCase> chosen;
  for (const auto& loss : losses()) {
    if (loss.has_likelihood()) chosen.push_back(loss);
  }
  return chosen;
}

const LossCase& loss_named(const std::string& name) {
  for (const auto& loss : losses()) {
    if (loss.name == name) return loss;
  }
  TORCH_CHECK(false, "no loss is named ", name);
}

Outputs split(const Tensor& z, const LossCase& loss) {
  if (loss.shapes.size() == 1) return {z.view(loss.shapes[0])};
  Outputs pieces;
  int64_t column = 0;
  for (const auto& shape : loss.shapes) {
    const int64_t width = c10::multiply_integers(shape) / kExamples;
    pieces.push_back(z.narrow(1, column, width).reshape(shape));
    column += width;
  }
  return pieces;
}

Outputs leaf_outputs(const LossCase& loss, uint64_t seed) {
  Outputs leaves;
  for (const auto& shape : loss.shapes) leaves.push_back(parameter(shape, seed++));
  return leaves;
}

namespace {

/// diag(p) - p pᵀ for each observation, scattered into the matrix over all elements of z.
Tensor categorical_fisher(const Tensor& z, const Tensor& s, int64_t dim) {
  const auto place = torch::arange(z.numel()).view(z.sizes()).movedim(dim, -1);
  const auto logits = z.movedim(dim, -1).reshape({-1, z.size(dim)});
  const auto weights = s.movedim(dim, -1).reshape({-1, z.size(dim)});
  const auto places = place.reshape({-1, z.size(dim)});
  auto matrix = torch::zeros({z.numel(), z.numel()}, torch::kDouble);
  for (int64_t i = 0; i < logits.size(0); ++i) {
    const auto p = logits[i].exp() / logits[i].exp().sum();
    const auto block = weights[i][0] * (p.diag() - p.outer(p));
    const auto rows = places[i].unsqueeze(1).expand_as(block);
    matrix.index_put_({rows, rows.t()}, block);
  }
  return matrix;
}

}  // namespace

Tensor closed_form_fisher(const ExpectedTerm& term, const Tensor& outputs) {
  const auto z = outputs.detach();
  const auto s = term.weights.expand_as(z);
  const auto p = 1 / (1 + (-z).exp());
  switch (term.family) {
    case Family::Categorical: {
      const bool along_first =
          z.dim() == 1 || (term.weights.dim() == 2 && term.weights.size(0) == 1);
      return categorical_fisher(z, s, along_first ? 0 : 1);
    }
    case Family::Bernoulli:
      return (s * p * (1 - p)).reshape(-1).diag();
    case Family::Gaussian:
      return (s / term.variance).reshape(-1).diag();
  }
  TORCH_CHECK(false, "no such family");
}

Tensor closed_form_fisher(const LossCase& loss, const Outputs& z) {
  std::vector<Tensor> blocks;
  for (const auto& output : z)
    blocks.push_back(torch::zeros({output.numel(), output.numel()}, torch::kDouble));
  for (const auto& term : loss.terms) {
    blocks[term.output] += closed_form_fisher(term, z[term.output]);
  }
  return block_diagonal(blocks);
}

const char* to_string(Family family) {
  switch (family) {
    case Family::Categorical:
      return "Categorical";
    case Family::Bernoulli:
      return "Bernoulli";
    case Family::Gaussian:
      return "Gaussian";
  }
  return "?";
}

}  // namespace natgrad::testing
