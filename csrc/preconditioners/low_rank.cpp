#include <fmt/format.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/low_rank.h>
#include <natgrad/preconditioners/low_rank.h>
#include <torch/torch.h>

#include <cmath>

#include "linalg/shapes.h"
#include "preconditioners/observed_parameters.h"

namespace natgrad {

using torch::Tensor;

namespace {

LinearOperator damped_inverse(const Tensor& rows, double lambda) {
  // RRᵀ loses the small singular values that float32 rows still tell.
  const auto wide = rows.to(torch::kDouble);
  const auto gram = wide.mm(wide.t());
  const auto factor =
      torch::linalg_cholesky(gram + lambda * torch::eye(gram.size(0), gram.options()));
  const auto inverse = torch::cholesky_inverse(factor).to(rows.dtype());
  return {"inverse of a low-rank matrix", rows.size(1), rows.options().requires_grad(false),
          [rows, inverse, lambda](const Tensor& v) {
            return (v - rows.t().matmul(inverse.matmul(rows.matmul(v)))).div_(lambda);
          },
          Columns::Together};
}

}  // namespace

void LowRank::check_options() const {
  TORCH_CHECK(rank_ >= 0, "natgrad: the rank of ", describe(), " is at least 1, or 0 for all.");
  TORCH_CHECK(decay_ >= 0 && decay_ < 1, "natgrad: the decay of ", describe(), " is in [0, 1).");
  TORCH_CHECK(decay_ == 0 || rank_ > 0, "natgrad: ", describe(),
              " remembers gradients, and has to say of which rank: .rank(k).");
}

Tensor LowRank::rows_of(const LossGraph& graph) const {
  const auto rows = empirical_fisher_rows(graph, moment_, weights_);
  return rank_ > 0 ? leading_rows(rows, rank_) : rows;
}

bool LowRank::is_of(const ParameterLayout& parameters) const {
  return are_the_observed(parameters_, shapes_, parameters.tensors());
}

void LowRank::forget() {
  rows_ = shapes_ = Tensor();
  parameters_.clear();
  weight_ = 0;
}

void LowRank::observe(const LossGraph& graph, double /*lambda*/) {
  const torch::NoGradGuard no_grad;
  check_options();
  if (decay_ == 0) return;
  if (!is_of(graph.parameters())) forget();
  parameters_ = graph.parameters().tensors();
  const auto batch = empirical_fisher_rows(graph, moment_, weights_);
  if (!batch.isfinite().all().item<bool>()) return;
  const auto all = rows_.defined() ? torch::cat({std::sqrt(decay_) * rows_, batch}) : batch;
  rows_ = leading_rows(all, rank_);
  weight_ = decay_ * weight_ + 1;
}

LinearOperator LowRank::at(const LossGraph& graph, double lambda) const {
  const torch::NoGradGuard no_grad;
  check_options();
  check_lambda(*this, lambda);
  if (!rows_.defined()) return damped_inverse(rows_of(graph), lambda);
  TORCH_CHECK(rows_.size(1) == graph.parameters().size(), "natgrad: ", describe(),
              " has observed a model of ", rows_.size(1), " parameters, but this one has ",
              graph.parameters().size(), ". Use one for each model.");
  return damped_inverse(rows_ / std::sqrt(weight_), lambda);
}

std::vector<Tensor> LowRank::state() const {
  if (!rows_.defined()) return {};
  std::vector<Tensor> state = {torch::tensor({weight_}, torch::kDouble), rows_};
  const auto shapes = parameters_.empty() ? shapes_ : shapes_of(parameters_);
  if (shapes.defined()) state.push_back(shapes);
  return state;
}

void LowRank::set_state(const std::vector<Tensor>& state) {
  auto loaded = LowRank(*this);
  loaded.forget();
  if (!state.empty()) {
    const bool fits = decay_ > 0 && (state.size() == 2 || state.size() == 3) &&
                      state[0].numel() == 1 && state[1].dim() == 2 &&
                      state[1].is_floating_point() && state[1].size(0) <= rank_;
    TORCH_CHECK(fits, "natgrad: this is not a state of ", describe(),
                "; load what its state() gave, in the same version.");
    loaded.weight_ = state[0].item<double>();
    loaded.rows_ = state[1];
    if (state.size() == 3) loaded.shapes_ = state[2].cpu();
  }
  *this = std::move(loaded);
}

std::string LowRank::describe() const {
  return fmt::format("LowRank({}rank={}{}{})", moment_ == Moment::Centred ? "centred, " : "", rank_,
                     weights_ == FisherWeights::OfTheLoss ? "" : ", weights=Uniform",
                     decay_ == 0 ? "" : fmt::format(", decay={}", decay_));
}

std::unique_ptr<Preconditioner> LowRank::clone() const {
  check_options();
  return std::make_unique<LowRank>(*this);
}

}  // namespace natgrad
