#include <fmt/format.h>
#include <natgrad/curvature/tonga.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/low_rank.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

LinearOperator Tonga::at(const LossGraph& graph) const {
  torch::NoGradGuard no_grad;
  const auto rows = empirical_fisher_rows(graph, moment_, weights_);
  return low_rank(rank_ == 0 ? rows : leading_rows(rows, rank_), "TONGA's covariance");
}

Tensor Tonga::noise(const LossGraph& graph, at::Generator generator) const {
  return EmpiricalFisher().moment(moment_).weights(weights_).noise(graph, std::move(generator));
}

std::string Tonga::describe() const {
  return fmt::format("Tonga({}rank={}{})", moment_ == Moment::Centred ? "centred, " : "", rank_,
                     weights_ == FisherWeights::OfTheLoss ? "" : ", weights=Uniform");
}

std::shared_ptr<const Curvature> Tonga::clone() const { return std::make_shared<Tonga>(*this); }

}  // namespace natgrad
