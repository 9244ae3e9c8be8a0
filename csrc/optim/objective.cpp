#include "optim/objective.h"
#include <natgrad/curvature/penalty_hessian.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

namespace natgrad::detail {

using torch::Tensor;

namespace {

constexpr int kChunkBits = 40;  // of a stream's number: below lies the step's, above the chunk's

/// C, and the Hessian of the loss's penalties where the curvature leaves them out.
LinearOperator with_penalties(const Curvature& curvature, const LinearOperator& C,
                              const LossGraph& graph) {
  const bool adds = curvature.needs_penalties() && graph.is_readable() && graph.has_penalties();
  return adds ? C + penalty_hessian(graph) : C;
}

}  // namespace

Objective::Objective(ReplayedBatch& batch,
                     const std::vector<torch::optim::OptimizerParamGroup>& groups,
                     const NaturalGradientOptions& system, uint64_t stream)
    : batch_(batch),
      groups_(groups),
      system_(system),
      stream_(stream),
      generator_(make_generator(system.seed(), stream)) {}

Terms terms_of(const Curvature& curvature) {
  return curvature.needs_terms() ? Terms::Required : Terms::WhenAsked;
}

LossGraph Objective::graph_of(int64_t chunk, const Tensor& loss, Terms terms) const {
  const auto generator =
      chunk == 0
          ? generator_
          : make_generator(system_.seed(), stream_ + (static_cast<uint64_t>(chunk) << kChunkBits));
  return LossGraph(system_.maximize() ? -loss : loss, trainable_.parameters, generator, terms);
}

const Tensor& Objective::evaluate(Terms terms, Gradient gradient) {
  const torch::AutoGradMode enable_grad(true);
  const auto count = static_cast<double>(batch_.chunks());
  const auto chunks = gradient == Gradient::Needed ? batch_.chunks() : 1;
  for (int64_t k = 0; k < chunks; ++k) {
    const auto loss = batch_.evaluate(k);
    if (k == 0) trainable_ = trainable_of(groups_);
    loss_ = k == 0 ? loss.detach() : loss_ + loss.detach();
    const double value = loss.item<double>();
    sum_ += value;
    if (!std::isfinite(value)) {
      faulty_loss_ = loss;
      break;
    }
    if (k == 0) graph_.emplace(graph_of(k, loss, terms));
    if (batch_.chunks() == 1 || gradient == Gradient::NotNeeded) continue;
    const auto g = k == 0 ? graph_->gradient() : graph_of(k, loss, Terms::WhenAsked).gradient();
    gradient_ = k == 0 ? g / count : gradient_.add_(g, 1 / count);
  }
  if (chunks > 1) loss_ = loss_ / count;
  if (graph_) read_weight_decay();
  return loss_;
}

void Objective::read_weight_decay() {
  const auto w = common_weight_decay(trainable_);
  if (!w) {
    weight_decay_ = natgrad::weight_decay(trainable_, parameters());
  } else if (*w > 0) {
    weight_decay_ = torch::full({}, *w, parameters().options());
  }
}

double Objective::value() const {
  const double h = (system_.maximize() ? -1 : 1) * sum_ / static_cast<double>(batch_.chunks());
  if (!weight_decay_.defined()) return h;
  const auto theta = parameters().values();
  return h + 0.5 * (weight_decay_ * theta).dot(theta).item<double>();
}

Tensor Objective::gradient() const { return gradient_.defined() ? gradient_ : graph_->gradient(); }

int64_t Objective::curvature_chunks() const {
  const auto asked = system_.curvature_chunks();
  return asked == 0 ? batch_.chunks() : std::min(asked, batch_.chunks());
}

LinearOperator Objective::matrix() const {
  const auto chunks = curvature_chunks();
  const auto C = chunks == 1 ? matrix_of_first_chunk() : matrix_of_chunks(chunks);
  if (!weight_decay_.defined()) return C;
  // A shift leaves a matrix that knows its inverse, or its root, as easy to solve as it was.
  return weight_decay_.dim() == 0 ? C + weight_decay_.item<double>()
                                  : C + diagonal_operator(weight_decay_);
}

const CurvatureAt& Objective::curvature() const {
  if (!curvature_) curvature_ = system_.curvature().at(*graph_);
  return *curvature_;
}

LinearOperator Objective::matrix_of_first_chunk() const {
  return with_penalties(system_.curvature(), curvature().matrix, *graph_);
}

LinearOperator Objective::matrix_of_chunks(int64_t chunks) const {
  const auto& curvature = system_.curvature();
  const auto first = matrix_of_first_chunk();
  const auto multiply = [this, &curvature, chunks, first](const Tensor& v) {
    Tensor sum = first.multiply(v);
    for (int64_t k = 1; k < chunks; ++k) {
      const torch::AutoGradMode enable_grad(true);
      const auto graph = graph_of(k, batch_.evaluate(k), terms_of(curvature));
      sum += with_penalties(curvature, curvature.at(graph).matrix, graph).multiply(v).detach();
      graph.verify();
    }
    return sum.div_(static_cast<double>(chunks));
  };
  return {curvature.describe() + " of chunks", parameters().size(), parameters().options(),
          multiply, Columns::Together};
}

double Objective::noise() const {
  return curvature().noise(generator_).item<double>() / static_cast<double>(batch_.chunks());
}

}  // namespace natgrad::detail
