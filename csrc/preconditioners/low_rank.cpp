#include <fmt/format.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/low_rank.h>
#include <natgrad/preconditioners/low_rank.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

namespace {

void check_rank(const LowRank& of, int64_t rank) {
  TORCH_CHECK(rank >= 0, "natgrad: the rank of ", of.describe(), " is at least 1, or 0 for all.");
}

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

LinearOperator LowRank::at(const LossGraph& graph, double lambda) const {
  const torch::NoGradGuard no_grad;
  check_lambda(*this, lambda);
  check_rank(*this, rank_);
  const auto rows = empirical_fisher_rows(graph, moment_, weights_);
  return damped_inverse(rank_ > 0 ? leading_rows(rows, rank_) : rows, lambda);
}

std::string LowRank::describe() const {
  return fmt::format("LowRank({}rank={}{})", moment_ == Moment::Centred ? "centred, " : "", rank_,
                     weights_ == FisherWeights::OfTheLoss ? "" : ", weights=Uniform");
}

std::unique_ptr<Preconditioner> LowRank::clone() const {
  check_rank(*this, rank_);
  return std::make_unique<LowRank>(*this);
}

}  // namespace natgrad
