#include <fmt/format.h>
#include <natgrad/curvature/tonga.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/low_rank.h>
#include <torch/torch.h>

#include "curvature/outer_products.h"

namespace natgrad {

CurvatureAt Tonga::at(const LossGraph& graph) const {
  const torch::NoGradGuard no_grad;
  const auto rows = empirical_fisher_rows(graph, moment_, weights_);
  // Of all rows, and at once: a rank is asked for so that they need not be kept.
  const auto noise = noise_of_rows(rows);
  return {low_rank(rank_ == 0 ? rows : leading_rows(rows, rank_), "TONGA's covariance"),
          [noise](const at::Generator&) { return noise; }};
}

std::string Tonga::describe() const {
  return fmt::format("Tonga({}rank={}{})", moment_ == Moment::Centred ? "centred, " : "", rank_,
                     weights_ == FisherWeights::OfTheLoss ? "" : ", weights=Uniform");
}

std::shared_ptr<const Curvature> Tonga::clone() const {
  TORCH_CHECK(rank_ >= 0, "natgrad: the rank of ", describe(), " is at least 1, or 0 for all.");
  return std::make_shared<Tonga>(*this);
}

}  // namespace natgrad
