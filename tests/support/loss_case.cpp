#include "support/losses.h"

#include <algorithm>

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

std::vector<LossCase> matching_losses() {
  std::vector<LossCase> chosen;
  for (const auto& loss : likelihood_losses()) {
    if (loss.hessian_is_fisher()) chosen.push_back(loss);
  }
  return chosen;
}

bool LossCase::hessian_is_fisher() const {
  return std::all_of(terms.begin(), terms.end(),
                     [](const ExpectedTerm& term) { return term.family.hessian_is_fisher; });
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

Tensor sigma(const Tensor& z) { return 1 / (1 + (-z).exp()); }

/// s·f(z) of independent outputs.
auto diagonal_fisher(std::function<Tensor(const Tensor&)> of_one) {
  return [=](const Tensor& z, const Tensor& s) { return (s * of_one(z)).reshape(-1).diag(); };
}

/// The Fisher information of a location family's one observation.
auto constant_fisher(double information) {
  return diagonal_fisher([=](const Tensor& z) { return torch::full_like(z, information); });
}

}  // namespace

Family categorical() {
  return {"Categorical", [](const Tensor& z, const Tensor& s) {
            const bool along_first = z.dim() == 1 || (s.stride(0) == 0 && s.stride(1) != 0);
            return categorical_fisher(z, s, along_first ? 0 : 1);
          }};
}

Family bernoulli() {
  return {"Bernoulli", diagonal_fisher([](const Tensor& z) { return sigma(z) * sigma(-z); })};
}

Family gaussian(double variance) { return {"Gaussian", constant_fisher(1 / variance)}; }

Family poisson() {
  return {"Poisson", diagonal_fisher([](const Tensor& z) { return z.exp(); })};
}

Family laplace() { return {"Laplace", constant_fisher(1), false}; }

// E[score²] = (∫ r² over the core + δ² of the tails) / (both normalisers), piece by piece.
Family huber(double delta, double scale) {
  const double edge = std::exp(-delta * delta / 2);
  const double core = std::sqrt(2 * M_PI) * std::erf(delta / std::sqrt(2)),
               tails = 2 * edge / delta;
  const double core_squares = core - 2 * delta * edge, tail_squares = delta * delta * tails;
  const double kappa = (core_squares + tail_squares) / (core + tails);
  return {"Huber", constant_fisher(kappa / (scale * scale)), false};
}

Tensor closed_form_fisher(const ExpectedTerm& term, const Tensor& outputs) {
  const auto z = outputs.detach();
  return term.family.fisher(z, term.weights.expand_as(z));
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

}  // namespace natgrad::testing
